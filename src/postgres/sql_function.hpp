// Takes the arguments of SQL functions and makes their results.
#pragma once

#include <optional>
#include <string_view>

#include "postgres/types.hpp"

namespace postgres {

// The text of an argument that is not NULL. It lives as long as the memory of the call.
std::string_view text_argument(FunctionCallInfo fcinfo, int number);

// P. The argument as a detoasted text. Null: the argument is NULL.
text* optional_text(FunctionCallInfo fcinfo, int number);

// A view of such a text; nothing where it is null. Nothing is raised.
std::optional<std::string_view> optional_view_of(const text* value) noexcept;

// P. Makes a row of the composite type that the function returns.
Datum row_of(FunctionCallInfo fcinfo, Datum* values, bool* nulls);

// P. The snapshot of the statement that called the function.
Snapshot callers_snapshot();

// P. Refuses read-only transactions and parallel workers (25006, 25000), for a function that writes. The message names it.
void require_writable(const char* function);

}  // namespace postgres
