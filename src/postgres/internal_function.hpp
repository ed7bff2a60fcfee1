// Runs the internal SQL function f_as_owner(...) on behalf of the SQL function f(...), with the same arguments.
#pragma once

#include "postgres/types.hpp"

namespace postgres {

// P. With `caller`, this name is the last argument of the internal function. The current user is the owner. Returns the
// function's result, and sets isnull of the call.
Datum run_internal_function(FunctionCallInfo fcinfo, const char* caller);

// P. The name of the current user, in the current memory context.
const char* name_of_current_user();

}  // namespace postgres
