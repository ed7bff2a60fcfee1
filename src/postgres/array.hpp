// Makes arrays and reads them. This file is written wholly in P.
#pragma once

#include <string_view>

#include "postgres/growing_array.hpp"
#include "postgres/types.hpp"

namespace postgres {

// An array of one dimension. The type of the elements is int4, int8, text or jsonb. `nulls` says which elements are NULL; null:
// none is.
Datum array_datum(Datum* values, int count, Oid type, bool* nulls = nullptr);

// The texts of a text[] without NULL, in the current memory context.
GrowingArray<std::string_view> texts_of(Datum array);

}  // namespace postgres
