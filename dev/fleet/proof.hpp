// Compares the answers that the senders got with the stored events.
#pragma once

#include "totals.hpp"

namespace fleet {

// Waits until no event is waiting (at most a minute), then prints each count beside the one it must equal. Returns false if one
// differs.
bool prove(const Totals& totals);

}  // namespace fleet
