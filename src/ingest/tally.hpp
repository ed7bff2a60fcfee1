// A tally counts a command for telemetry.stat_ingest, however the command ends.
#pragma once

#include <cstdint>

#include "postgres/error.hpp"
#include "postgres/types.hpp"
#include "runtime/statistics.hpp"

namespace ingest {

// Holds the verdicts that a command has reached so far.
struct Tally {
    std::uint64_t received = 0;
    std::uint64_t repeats = 0;       // accepted in the receipt, but stored earlier in the same command
    runtime::ReadingCounts decided;  // of all readings; zero until they are decided
    runtime::ReadingCounts blamed;   // the readings for which the command raises its error

    void count_error(int sqlstate) const noexcept {
        runtime::count_raised(blamed, received - blamed.conflicts - blamed.rejected, sqlstate);
    }
};

// Runs the body of a command, which gets a tally and fills it.
template <typename Body>
Datum counted(bool is_batch, Body body) {
    postgres::guarded([] { runtime::expect_counts(); });
    runtime::count_command(is_batch);
    Tally tally;
    try {
        const Datum result = body(tally);
        runtime::count_readings(tally.decided);
        return result;
    } catch (...) {
        tally.count_error(postgres::describe_current_exception().sqlstate);
        throw;
    }
}

}  // namespace ingest
