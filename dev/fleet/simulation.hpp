// A simulated fleet: 200 devices in five regions with daily curves, weak networks and a few faults.
#pragma once

#include "totals.hpp"

namespace fleet {

// Streams for that many seconds, a second standing for 80 minutes of the devices' time, so that the last readings are of now.
// Five gateways send batches, five hand-held devices single calls. One reading in 20 is sent again, three in 100 come late, a
// few are faulty. Connects by the PG* variables; throws what a sender threw.
void simulate(int seconds, Totals& totals);

}  // namespace fleet
