// What the senders have been answered so far; written by their threads, read by the dashboard and the proof.
#pragma once

#include <atomic>
#include <cstdint>

namespace fleet {

struct Totals {
    std::atomic<std::int64_t> sent = 0;
    std::atomic<std::int64_t> accepted = 0;
    std::atomic<std::int64_t> duplicates = 0;
    std::atomic<std::int64_t> refused = 0;  // rejected and conflicting
    // How far the work is: milliseconds of a simulation, bytes of files.
    std::atomic<std::int64_t> work_done = 0;
    std::int64_t work_total = 0;  // set before the senders start
    // What the simulation knows it sent; a file does not say.
    bool simulated = false;  // set before the senders start
    std::atomic<std::int64_t> late = 0;
    std::atomic<std::int64_t> retries = 0;
    std::atomic<std::int64_t> faulty = 0;
};

}  // namespace fleet
