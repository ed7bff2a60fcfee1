// Loads readings from a CSV file with a header into the event log.
#pragma once

#include <istream>

#include "totals.hpp"

namespace fleet {

// The columns are device_id and, where they exist, region, measured_at (or timestamp), temperature, humidity, idempotency_key.
// Any other column is a numeric metric of that name. An empty cell is NULL. Sends batches of 1,000. Throws with the line number
// where the text is no CSV or no number.
void load(std::istream& input, Totals& totals);

}  // namespace fleet
