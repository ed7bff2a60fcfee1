// Tells a set-returning function which of its rows the caller wants. A view cannot pass a condition to a function as an
// argument, but the plan has it beside the call. This file is written wholly in P.
#pragma once

#include "postgres/types.hpp"

namespace postgres {

// A text, if the plan drops each row of this call that has another one in its column `column` (the first is 1), for as long as
// the plan runs. Null: it may keep others, or nothing is known. The text is detoasted, in the current memory context.
text* sought_text(FunctionCallInfo fcinfo, int column);

}  // namespace postgres
