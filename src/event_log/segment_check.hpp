// Checks that native code can write and read a segment. This file is written wholly in P.
#pragma once

#include "postgres/obstacle.hpp"
#include "postgres/types.hpp"

namespace event_log {

// Finds the first obstacle that stops an append to a locked segment. A missing index is one. False: there is none.
bool find_segment_obstacle(Relation segment, postgres::Obstacle& found);

// TC202 if an obstacle stops native writes. It does not look at the indexes, because its caller opens them anyway.
void check_for_append(Relation segment);

// TC202 if the columns are not those that the extension made. Readers ignore further ones, dropped or not.
void check_columns(Relation segment);

// These raise TC202, because the index is missing.
[[noreturn]] void report_no_fingerprint_index(Relation segment);
[[noreturn]] void report_no_xid_index(Relation segment);

}  // namespace event_log
