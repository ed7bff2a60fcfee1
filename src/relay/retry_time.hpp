// Spreads the attempts of many clients in time.
#pragma once

#include "runtime/steady_time.hpp"

namespace relay {

// A time between half of the delay and all of it, by chance, so that many clients do not come back at once.
runtime::SteadyTime with_chance(runtime::SteadyTime delay);

}  // namespace relay
