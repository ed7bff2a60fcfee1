// Counting in the session, and the callbacks at the ends of transactions. Those raise nothing, allocate nothing and read no
// table.
#include "runtime/statistics.hpp"

#include "postgres/error.hpp"
#include "postgres/shared_memory.hpp"

#include "postgres/pg.hpp"

namespace runtime {
namespace {

// What was counted at one nesting level of the transaction in progress, and is decided when that level ends.
struct Level {
    int nesting;
    ReadingCounts readings;
    Level* outer;
};

// Session state, plain data. Levels but the first live in TopTransactionContext; those that ended are used again.
constinit Level first_level{};
constinit Level* innermost = nullptr;
constinit Level* spare = nullptr;

// Decided and not yet in shared memory.
constinit std::uint64_t settled[kIngestCounts] = {};
constinit int settled_error = 0;
constinit TimestampTz settled_error_at = 0;
constinit bool has_settled = false;

constinit DatabaseSlot* known_slot = nullptr;

void settle(IngestCount count, std::uint64_t number) noexcept {
    settled[static_cast<int>(count)] += number;
    has_settled = true;
}

void settle(const ReadingCounts& readings) noexcept {
    settle(IngestCount::kAccepted, readings.accepted);
    settle(IngestCount::kDuplicates, readings.duplicates);
    settle(IngestCount::kConflicts, readings.conflicts);
    settle(IngestCount::kRejected, readings.rejected);
}

void settle_as_rolled_back(const ReadingCounts& readings) noexcept {
    settle(IngestCount::kRolledBack, readings.accepted + readings.duplicates + readings.conflicts + readings.rejected);
}

void add(ReadingCounts& to, const ReadingCounts& more) noexcept {
    to.accepted += more.accepted;
    to.duplicates += more.duplicates;
    to.conflicts += more.conflicts;
    to.rejected += more.rejected;
}

Level* take_level() {
    if (innermost == nullptr) return &first_level;
    if (spare == nullptr) return static_cast<Level*>(MemoryContextAlloc(TopTransactionContext, sizeof(Level)));
    Level* level = spare;
    spare = level->outer;
    return level;
}

void drop_innermost() noexcept {
    Level* level = innermost;
    innermost = level->outer;
    if (level == &first_level) return;
    level->outer = spare;
    spare = level;
}

DatabaseSlot* own_slot() noexcept {
    if (shared_state() == nullptr) return nullptr;
    if (known_slot == nullptr || pg_atomic_read_u32(&known_slot->database) != MyDatabaseId)
        known_slot = find_or_make_slot(MyDatabaseId);
    return known_slot;
}

// Calls `body(slot)` with the lock held. Under the lock nobody frees a slot and gives it to another database; before, somebody
// may have. Not called where there is no slot.
template <typename Body>
void with_own_slot(LWLockMode mode, Body&& body) noexcept {
    for (DatabaseSlot* slot = own_slot(); slot != nullptr; slot = own_slot()) {
        postgres::LockHeld held(shared_state()->lock, mode);
        if (pg_atomic_read_u32(&slot->database) == MyDatabaseId) return body(*slot);
    }
}

void publish() noexcept {
    if (!has_settled) return;
    with_own_slot(settled_error_at != 0 ? LW_EXCLUSIVE : LW_SHARED, [](DatabaseSlot& slot) {
        for (int i = 0; i < kIngestCounts; ++i)
            if (settled[i] != 0) pg_atomic_fetch_add_u64(&slot.ingest.counts[i], static_cast<int64>(settled[i]));
        if (settled_error_at == 0) return;
        slot.ingest.last_error_sqlstate = settled_error;
        slot.ingest.last_error_at = settled_error_at;
    });
    for (std::uint64_t& count : settled) count = 0;
    settled_error_at = 0;
    has_settled = false;
}

void end_of_transaction(XactEvent event, void*) noexcept {
    if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE) return;
    for (; innermost != nullptr; drop_innermost()) {
        if (event == XACT_EVENT_ABORT)
            settle_as_rolled_back(innermost->readings);
        else
            settle(innermost->readings);
    }
    spare = nullptr;  // its memory goes with the transaction
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
    settle(IngestCount::kCommands, 1);
    if (is_batch) settle(IngestCount::kBatches, 1);
}

void count_readings(const ReadingCounts& readings) noexcept {
    if (shared_state() == nullptr || innermost == nullptr) return;
    add(innermost->readings, readings);
}

void count_raised(const ReadingCounts& refused, std::uint64_t others, int sqlstate) noexcept {
    if (shared_state() == nullptr) return;
    settle(IngestCount::kRaised, 1);
    settle(refused);
    settle(IngestCount::kRolledBack, others);
    settled_error = sqlstate;
    settled_error_at = GetCurrentTimestamp();
}

std::optional<IngestStatistics> ingest_statistics() noexcept {
    std::optional<IngestStatistics> statistics;
    with_own_slot(LW_SHARED, [&statistics](DatabaseSlot& slot) {
        statistics.emplace();
        for (int i = 0; i < kIngestCounts; ++i) statistics->counts[i] = pg_atomic_read_u64(&slot.ingest.counts[i]);
        statistics->since = slot.ingest.since;
        statistics->last_error_sqlstate = slot.ingest.last_error_sqlstate;
        statistics->last_error_at = slot.ingest.last_error_at;
    });
    return statistics;
}

void reset_ingest_statistics() noexcept {
    with_own_slot(LW_EXCLUSIVE, [now = GetCurrentTimestamp()](DatabaseSlot& slot) { reset(slot.ingest, now); });
}

void watch_ends_of_transactions() {
    postgres::guarded([] {
        RegisterXactCallback(end_of_transaction, nullptr);
        RegisterSubXactCallback(end_of_subtransaction, nullptr);
    });
}

}  // namespace runtime
