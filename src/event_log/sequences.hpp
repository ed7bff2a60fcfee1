// Moves the log's sequences at a place that has not written the log before. This file is written wholly in P.
//
// Logical replication brings rows but does not move the sequences, so they would give out numbers that are taken.
#pragma once

#include <cstdint>

#include "postgres/types.hpp"

namespace event_log {

// Moves the sequences of event ids and of rejected readings up to the greatest stored number, never down. This reads the whole
// log, because event ids have no index of their own. The caller runs as the extension's owner, has statements open
// (postgres/spi.hpp), and makes sure that no session takes numbers meanwhile.
void move_sequences_past_stored_rows();

// The last number that a sequence gave out to any session; a number below all others if it gave none. Numbers that it gives out
// from now on are greater. Numbers that this session has cached may be lower.
std::int64_t last_number_given(Oid sequence);

}  // namespace event_log
