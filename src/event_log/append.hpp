// Appends events to the event log, each identity once.
#pragma once

#include <cstdint>

#include "event_log/candidate.hpp"

namespace event_log {

// Decides every candidate, in the caller's transaction. A repeat inside the command that stored the event counts as accepted.
// The append waits while another session holds the same identity in an open transaction. Errors:
// - TC101: that wait exceeds lock_timeout.
// - 40001, above READ COMMITTED: the caller's snapshot does not show the first delivery of a duplicate.
// - TC202: the segment was altered.
void append(Candidate* candidates, std::uint32_t count, const Stamp& stamp);

}  // namespace event_log
