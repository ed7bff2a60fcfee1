// Copies the rows of a projection's baseline to a generation that begins with them.
#pragma once

#include "projection/consumer.hpp"

namespace projection {

// Copies some of them. After the last one the consumer stands where the baseline stands. The caller holds the apply lock.
void copy_baseline(const Consumer& to);

}  // namespace projection
