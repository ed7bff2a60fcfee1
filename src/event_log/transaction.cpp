// Asks the commit log and the event log about a transaction.
#include "event_log/transaction.hpp"

#include "event_log/window_reader.hpp"
#include "model/snapshot.hpp"
#include "postgres/error.hpp"
#include "postgres/memory.hpp"
#include "postgres/server_versions.hpp"

#include "postgres/pg.hpp"

namespace event_log {
namespace {

// P. Has the server removed the record of what became of the transaction? The caller holds XactTruncationLock, so that the
// server does not remove it meanwhile.
bool is_forgotten(std::uint64_t xid, std::uint64_t next) {
    const auto low = static_cast<TransactionId>(xid);
    const std::uint64_t epoch = xid >> 32, next_epoch = next >> 32;
    const bool is_a_wrap_behind = epoch + 1 < next_epoch || (epoch + 1 == next_epoch && low < static_cast<TransactionId>(next));
    return is_a_wrap_behind || TransactionIdPrecedes(low, postgres::oldest_known_transaction());
}

// P. Does what pg_xact_status() does. The caller holds XactTruncationLock.
Fate look_up(std::uint64_t xid, std::uint64_t next) {
    if (is_forgotten(xid, next)) return Fate::kForgotten;
    const auto low = static_cast<TransactionId>(xid);
    if (TransactionIdIsInProgress(low)) return Fate::kInProgress;
    return TransactionIdDidCommit(low) ? Fate::kCommitted : Fate::kRolledBack;
}

}  // namespace

Fate fate_of(model::Xid xid) {
    return postgres::guarded([number = xid.value] {
        const std::uint64_t next = U64FromFullTransactionId(ReadNextFullTransactionId());
        if (number >= next) return Fate::kNotBegun;
        LWLockAcquire(XactTruncationLock, LW_SHARED);
        const Fate fate = look_up(number, next);
        LWLockRelease(XactTruncationLock);
        return fate;
    });
}

std::optional<std::uint64_t> end_of_commit(model::Xid xid) {
    return postgres::guarded([number = xid.value]() -> std::optional<std::uint64_t> {
        const std::uint64_t next = U64FromFullTransactionId(ReadNextFullTransactionId());
        std::optional<std::uint64_t> end;
        LWLockAcquire(XactTruncationLock, LW_SHARED);
        if (number < next && !is_forgotten(number, next)) end = TransactionIdGetCommitLSN(static_cast<TransactionId>(number));
        LWLockRelease(XactTruncationLock);
        return end;
    });
}

std::uint64_t oldest_running_transaction() {
    const TransactionId oldest = GetOldestActiveTransactionId();
    return widen(oldest, U64FromFullTransactionId(ReadNextFullTransactionId())).value;
}

model::Xid widen(std::uint32_t xid, std::uint64_t next) noexcept {
    std::uint64_t epoch = next >> 32;
    if (xid > static_cast<std::uint32_t>(next)) --epoch;
    return model::Xid{epoch << 32 | xid};
}

bool has_events_of(model::Epoch epoch, model::Xid xid, ::Snapshot snapshot) {
    model::Window window{};
    window.stragglers = {xid};
    window.first = window.last = model::Xid{xid.value + 1};
    const OwnedScanPlan plan(window, epoch);
    const postgres::ScopedMemory memory("telemetry_cqrs transaction");
    return postgres::guarded([&memory, &plan, snapshot] {
        const MemoryContext caller = MemoryContextSwitchTo(memory.get());
        WindowScan scan;
        open_window(scan, plan.view(), snapshot);
        while (scan.current != nullptr && !is_part_of_window(scan)) advance(scan);
        const bool has_some = scan.current != nullptr;
        close_window(scan);
        MemoryContextSwitchTo(caller);
        return has_some;
    });
}

}  // namespace event_log
