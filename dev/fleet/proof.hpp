// Compares what the senders were answered with what is stored.
#pragma once

#include "totals.hpp"

namespace fleet {

// Waits until nothing is waiting (at most a minute), then prints each count beside what it must equal. False if one differs.
bool prove(const Totals& totals);

}  // namespace fleet
