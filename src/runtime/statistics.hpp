// What became of readings, counted since the server started: view telemetry.stat_ingest.
//
// A session counts in its own memory, by nesting level of its transaction, with plain additions. Whoever is rolled back, as a
// whole or to a savepoint, finds his readings under rolled_back; the rest is what it is when the transaction commits. The end
// of the top-level transaction adds it to the database's slot in shared memory (atomics, under the shared lock, so that the
// slot is not given to another database meanwhile). PREPARE TRANSACTION counts as the commit: no session hears of what becomes
// of it later. Without shared memory nothing is counted.
#pragma once

#include <cstdint>
#include <optional>

#include "postgres/types.hpp"
#include "runtime/shared_state.hpp"

namespace runtime {

// Readings of one command by their verdict. One that a command refuses as a whole is none of these.
struct ReadingCounts {
    std::uint64_t accepted = 0, duplicates = 0, conflicts = 0, rejected = 0;
};

// P. Before a command works: makes room for what it will count. May raise an error.
void expect_counts();

// A command was called. Counted whatever becomes of it.
void count_command(bool is_batch) noexcept;

// It succeeded. After `expect_counts` at the same nesting level.
void count_readings(const ReadingCounts& readings) noexcept;

// It raised an error. `refused`: what it is to blame on; `fallen_readings`: readings that were sent with it and fell with it.
void count_raised(const ReadingCounts& refused, std::uint64_t fallen_readings, int sqlstate) noexcept;

struct IngestStatistics {
    std::uint64_t counts[kIngestFigures];
    TimestampTz since;
    int last_error_sqlstate;
    TimestampTz last_error_at;  // 0: there was none
};

// Of this database, as far as transactions are over. Nothing without shared memory, or when it is full.
std::optional<IngestStatistics> ingest_statistics() noexcept;
void reset_ingest_statistics() noexcept;

// Called once, by _PG_init: processes forked later have it.
void watch_ends_of_transactions();

}  // namespace runtime
