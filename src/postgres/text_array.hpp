// Reads arrays of texts. This file is written wholly in P.
#pragma once

#include <string_view>

#include "postgres/growing_array.hpp"
#include "postgres/types.hpp"

namespace postgres {

// The texts of a text[] without NULL, in the current memory context.
GrowingArray<std::string_view> texts_of(Datum array);

}  // namespace postgres
