// The sequences of the log at a place where it was not written before. This file is written wholly in P.
//
// Rows that came by logical replication leave the sequences as they were: numbers would be given out that are taken.
#pragma once

#include <cstdint>

#include "postgres/types.hpp"

namespace event_log {

// Moves the sequences of event ids and of rejected readings up to the greatest number that is stored; never down. Reads the
// whole log, as event ids have no index of their own. As the extension's owner, while nobody takes numbers, with statements
// open (postgres/spi.hpp).
void move_sequences_past_stored_rows();

// The last number that a sequence gave out, to any session; the one before its first one if it gave none. Numbers that it gives
// from now on are greater; those that this session has in store may be lower.
std::int64_t last_number_given(Oid sequence);

}  // namespace event_log
