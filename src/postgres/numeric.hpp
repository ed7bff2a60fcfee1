// Numbers of type numeric as doubles. Wholly P.
#pragma once

#include "postgres/pg.hpp"

namespace postgres {

// The nearest double, as a cast to double precision gives it; beyond its range an infinity.
double to_double(Numeric number);

}  // namespace postgres
