// Is a segment as natively written and read rows need it? This file is written wholly in P.
#pragma once

#include "postgres/obstacle.hpp"
#include "postgres/types.hpp"

namespace event_log {

// Finds the first thing that stops the append to a locked segment, a missing index among them; false if there is none.
bool find_segment_obstacle(Relation segment, postgres::Obstacle& found);

// For those that have opened the indexes already: TC202 for what stands in the way of writing natively, indexes aside.
void check_for_append(Relation segment);

// TC202 where the columns are not those that the extension made. Further ones, dropped or not, are read over.
void check_columns(Relation segment);

// TC202: the index is missing.
[[noreturn]] void report_no_fingerprint_index(Relation segment);
[[noreturn]] void report_no_xid_index(Relation segment);

}  // namespace event_log
