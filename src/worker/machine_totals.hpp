// Measures the work of the machine, for the pace of the relay.
#pragma once

#include "relay/pace.hpp"

namespace worker {

// The processors of the whole machine count, also where a container may use only some of them. Without shared memory no
// readings are counted.
relay::MachineTotals machine_totals();

}  // namespace worker
