// Gives numbers of type numeric as doubles. This file is written wholly in P.
#pragma once

#include "postgres/types.hpp"

namespace postgres {

// The nearest double, as a cast to double precision gives it. Where the cast raises an error: an infinity or zero.
double to_double(Numeric number);

bool is_zero(Numeric number);

}  // namespace postgres
