// A simulated fleet has 200 devices in five regions, with daily curves, weak networks and a few faults.
#pragma once

#include "totals.hpp"

namespace fleet {

// Streams for that many seconds. A second stands for 80 minutes of the devices' time, and the last readings are of now. Five
// gateways send batches, five hand-held devices single calls. One reading in 20 is sent again, three in 100 come late, a few
// are faulty. Connects by the PG* variables. Rethrows the exception of a sender.
void simulate(int seconds, Totals& totals);

}  // namespace fleet
