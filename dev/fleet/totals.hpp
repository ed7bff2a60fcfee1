// Counts the answers that the senders have got so far. Their threads write the counts, the dashboard and the proof read them.
#pragma once

#include <atomic>
#include <cstdint>

namespace fleet {

struct Totals {
    std::atomic<std::int64_t> sent = 0;
    std::atomic<std::int64_t> accepted = 0;
    std::atomic<std::int64_t> duplicates = 0;
    std::atomic<std::int64_t> refused = 0;  // rejected and conflicting
    // The work that is done, in milliseconds of a simulation or bytes of files.
    std::atomic<std::int64_t> work_done = 0;
    std::int64_t work_total = 0;  // set before the senders start
    // The simulation counts what it sends; a file has no such counts.
    bool simulated = false;  // set before the senders start
    std::atomic<std::int64_t> late = 0;
    std::atomic<std::int64_t> retries = 0;
    std::atomic<std::int64_t> faulty = 0;
};

}  // namespace fleet
