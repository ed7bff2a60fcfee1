// Counts the fates of readings since the server started, for the view telemetry.stat_ingest.
//
// 1. A session counts in its own memory, by nesting level of its transaction, with plain additions.
// 2. A rollback, of the whole transaction or to a savepoint, moves its readings to rolled_back.
// 3. The end of the top-level transaction adds the counts to the database's slot in shared memory. It adds atomically and holds
//    the lock shared, so no process gives the slot to another database meanwhile.
// 4. PREPARE TRANSACTION counts as the commit, because no session hears how the prepared transaction ends.
//
// Without shared memory nothing is counted.
#pragma once

#include <cstdint>
#include <optional>

#include "postgres/types.hpp"
#include "runtime/shared_state.hpp"

namespace runtime {

// The readings of one command by their verdict. Readings of a command that is refused as a whole are in none of these.
struct ReadingCounts {
    std::uint64_t accepted = 0, duplicates = 0, conflicts = 0, rejected = 0;
};

// P. Makes room for what the command will count, before it works. May raise an error.
void expect_counts();

// Counts a call of a command, whatever becomes of it.
void count_command(bool is_batch) noexcept;

// Counts the readings of a command that has succeeded. Needs `expect_counts` before, at the same nesting level.
void count_readings(const ReadingCounts& readings) noexcept;

// Counts a command that has raised an error. `refused` has the readings that caused the error. `fallen_readings` is the number
// of the call's other readings, which were not stored either.
void count_raised(const ReadingCounts& refused, std::uint64_t fallen_readings, int sqlstate) noexcept;

struct IngestStatistics {
    std::uint64_t counts[kIngestFigures];
    TimestampTz since;
    int last_error_sqlstate;
    TimestampTz last_error_at;  // 0: there was none
};

// Returns the counts of this database, of transactions that are over. Returns nothing without shared memory, and when all its
// slots are taken.
std::optional<IngestStatistics> ingest_statistics() noexcept;
void reset_ingest_statistics() noexcept;

// Called once, by _PG_init. Processes that are forked later inherit the callbacks.
void watch_ends_of_transactions();

}  // namespace runtime
