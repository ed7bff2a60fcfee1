// The session counts here, and callbacks at the ends of transactions pass the counts on. The callbacks raise nothing, allocate
// nothing and read no table.
#include "runtime/statistics.hpp"

#include "postgres/error.hpp"
#include "postgres/shared_memory.hpp"
#include "runtime/backlog.hpp"

#include "postgres/pg.hpp"

namespace runtime {
namespace {

// The counts of one nesting level of the transaction in progress. The end of the level decides where they belong.
struct Level {
    int nesting;
    ReadingCounts readings;
    Level* outer;
};

// Session state, plain data. All levels but the first live in TopTransactionContext. A level that has ended is used again.
constinit Level first_level{};
constinit Level* innermost = nullptr;
constinit Level* spare_levels = nullptr;

// The counts that are decided and not yet in shared memory.
constinit std::uint64_t settled_counts[kIngestFigures] = {};
constinit int settled_sqlstate = 0;
constinit TimestampTz settled_error_at = 0;
constinit bool has_unpublished = false;

void settle(IngestFigure figure, std::uint64_t number) noexcept {
    settled_counts[static_cast<int>(figure)] += number;
    has_unpublished = true;
}

void settle(const ReadingCounts& readings) noexcept {
    settle(IngestFigure::kAccepted, readings.accepted);
    settle(IngestFigure::kDuplicates, readings.duplicates);
    settle(IngestFigure::kConflicts, readings.conflicts);
    settle(IngestFigure::kRejected, readings.rejected);
}

void settle_as_rolled_back(const ReadingCounts& readings) noexcept {
    settle(IngestFigure::kRolledBack, readings.accepted + readings.duplicates + readings.conflicts + readings.rejected);
}

void add(ReadingCounts& sum, const ReadingCounts& addend) noexcept {
    sum.accepted += addend.accepted;
    sum.duplicates += addend.duplicates;
    sum.conflicts += addend.conflicts;
    sum.rejected += addend.rejected;
}

Level* take_level() {
    if (innermost == nullptr) return &first_level;
    if (spare_levels == nullptr) return static_cast<Level*>(MemoryContextAlloc(TopTransactionContext, sizeof(Level)));
    Level* level = spare_levels;
    spare_levels = level->outer;
    return level;
}

void drop_innermost() noexcept {
    Level* level = innermost;
    innermost = level->outer;
    if (level == &first_level) return;
    level->outer = spare_levels;
    spare_levels = level;
}

// Calls `body(slot)` with the lock held, or does nothing if there is no slot. Another process may have given the slot to
// another database before the lock was taken, so the slot is checked under the lock.
template <typename Body>
void with_own_slot(LWLockMode mode, Body&& body) noexcept {
    for (DatabaseSlot* slot = own_slot(); slot != nullptr; slot = own_slot()) {
        postgres::LockHeld held(shared_state()->lock, mode);
        if (pg_atomic_read_u32(&slot->database) == MyDatabaseId) return body(*slot);
    }
}

void publish() noexcept {
    if (!has_unpublished) return;
    with_own_slot(settled_error_at != 0 ? LW_EXCLUSIVE : LW_SHARED, [](DatabaseSlot& slot) {
        for (int i = 0; i < kIngestFigures; ++i)
            if (settled_counts[i] != 0) pg_atomic_fetch_add_u64(&slot.ingest.counts[i], static_cast<int64>(settled_counts[i]));
        count_committed(slot, settled_counts[static_cast<int>(IngestFigure::kAccepted)]);
        if (settled_error_at == 0) return;
        slot.ingest.last_error_sqlstate = settled_sqlstate;
        slot.ingest.last_error_at = settled_error_at;
    });
    for (std::uint64_t& count : settled_counts) count = 0;
    settled_error_at = 0;
    has_unpublished = false;
}

void end_of_transaction(XactEvent event, void*) noexcept {
    if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE) return;
    for (; innermost != nullptr; drop_innermost()) {
        if (event == XACT_EVENT_ABORT)
            settle_as_rolled_back(innermost->readings);
        else
            settle(innermost->readings);
    }
    spare_levels = nullptr;  // its memory goes with the transaction
    publish();
}

void end_of_subtransaction(SubXactEvent event, SubTransactionId, SubTransactionId, void*) noexcept {
    if (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB) return;
    const int nesting = GetCurrentTransactionNestLevel();
    if (innermost == nullptr || innermost->nesting < nesting) return;
    if (event == SUBXACT_EVENT_ABORT_SUB) {
        settle_as_rolled_back(innermost->readings);
        drop_innermost();
    } else if (innermost->outer != nullptr && innermost->outer->nesting == nesting - 1) {
        add(innermost->outer->readings, innermost->readings);
        drop_innermost();
    } else {
        innermost->nesting = nesting - 1;
    }
}

}  // namespace

void expect_counts() {
    if (shared_state() == nullptr) return;
    const int nesting = GetCurrentTransactionNestLevel();
    if (innermost != nullptr && innermost->nesting == nesting) return;
    Level* level = take_level();
    *level = Level{nesting, {}, innermost};
    innermost = level;
}

void count_command(bool is_batch) noexcept {
    if (shared_state() == nullptr) return;
    settle(IngestFigure::kCommands, 1);
    if (is_batch) settle(IngestFigure::kBatches, 1);
}

void count_readings(const ReadingCounts& readings) noexcept {
    if (shared_state() == nullptr || innermost == nullptr) return;
    add(innermost->readings, readings);
}

void count_raised(const ReadingCounts& refused, std::uint64_t fallen_readings, int sqlstate) noexcept {
    if (shared_state() == nullptr) return;
    settle(IngestFigure::kRaised, 1);
    settle(refused);
    settle(IngestFigure::kRolledBack, fallen_readings);
    settled_sqlstate = sqlstate;
    settled_error_at = GetCurrentTimestamp();
}

std::optional<IngestStatistics> ingest_statistics() noexcept {
    std::optional<IngestStatistics> statistics;
    with_own_slot(LW_SHARED, [&statistics](DatabaseSlot& slot) {
        statistics.emplace();
        for (int i = 0; i < kIngestFigures; ++i) statistics->counts[i] = pg_atomic_read_u64(&slot.ingest.counts[i]);
        statistics->since = slot.ingest.since;
        statistics->last_error_sqlstate = slot.ingest.last_error_sqlstate;
        statistics->last_error_at = slot.ingest.last_error_at;
    });
    return statistics;
}

void reset_ingest_statistics() noexcept {
    with_own_slot(LW_EXCLUSIVE, [now = GetCurrentTimestamp()](DatabaseSlot& slot) { reset_counters(slot.ingest, now); });
}

void watch_ends_of_transactions() {
    postgres::guarded([] {
        RegisterXactCallback(end_of_transaction, nullptr);
        RegisterSubXactCallback(end_of_subtransaction, nullptr);
    });
}

}  // namespace runtime
