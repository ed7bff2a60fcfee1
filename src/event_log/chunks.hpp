// Stores the candidates of a large call in chunks. This file is written wholly in P.
#pragma once

#include <cstdint>

#include "event_log/candidate.hpp"
#include "runtime/installed.hpp"

namespace event_log {

// Decides the leaders, which have distinct fingerprints in ascending order, and stores those that are new. `candidates` are all
// of the call, and `count` is their number. No stored event has their ids. 23505: a rival came between a probe and its insert.
void store_chunks(Candidate** leaders, std::uint32_t leader_count, Candidate* candidates, std::uint32_t count,
                  const Stamp& stamp, const runtime::Installed& relations, bool* waits_for_rival);

}  // namespace event_log
