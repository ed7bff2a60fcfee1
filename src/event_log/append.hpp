// Appending readings to the event log, each identity once.
#pragma once

#include <cstdint>

#include "event_log/candidate.hpp"

namespace event_log {

// Decides every candidate, in the caller's transaction. Waits for a session that holds the same identity in an open
// transaction, at most lock_timeout: TC101. 40001 above READ COMMITTED when a duplicate's first delivery is invisible to the
// caller's snapshot. TC202 when the segment was altered. A repeat inside the command that stored the event counts as accepted.
void append(Candidate* candidates, std::uint32_t count, const Stamp& stamp);

}  // namespace event_log
