// Copies a reading out of a row of the log. This file is written wholly in P.
#pragma once

#include "model/differences.hpp"
#include "postgres/types.hpp"

namespace event_log {

// The copy and all that it shows lie in the current memory context.
const model::StoredReading* copied_reading(TupleTableSlot* row);

}  // namespace event_log
