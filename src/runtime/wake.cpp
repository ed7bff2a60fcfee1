// The callback at the end of transactions, and what it needs: everything is looked up before, as after a commit nothing may
// fail.
#include "runtime/wake.hpp"

#include "postgres/entry_point.hpp"
#include "runtime/shared_state.hpp"

#include "postgres/pg.hpp"

namespace runtime {
namespace {

// Wishes of the transaction in progress.
bool wants_projector = false;
bool wants_launcher = false;

int known_slot = -1;  // where this database was found last
TimestampTz last_poke_at = 0;

constexpr TimestampTz kPokeInterval = USECS_PER_SEC;

bool is_ours(int slot) noexcept {
    return slot >= 0 && pg_atomic_read_u32(&shared_state()->slots[slot].database) == MyDatabaseId;
}

uint32 projector_procno() noexcept {
    return is_ours(known_slot) ? pg_atomic_read_u32(&shared_state()->slots[known_slot].procno) : kNoProcess;
}

void committed() noexcept {
    const uint32 projector = projector_procno();
    // Always SetLatch, never "is it set already": it has the memory barrier that keeps a wake-up from being lost.
    if (wants_projector) set_latch_of(projector);
    const TimestampTz now = GetCurrentTransactionStopTimestamp();
    const bool nobody = wants_projector && projector == kNoProcess && now - last_poke_at >= kPokeInterval;
    if (wants_launcher || nobody) {
        last_poke_at = now;
        poke_launcher(MyDatabaseId);
    }
}

// Runs after the commit became visible. Raises nothing, allocates nothing, reads no table.
void end_of_transaction(XactEvent event, void*) noexcept {
    if (!wants_projector && !wants_launcher) return;
    switch (event) {
        case XACT_EVENT_COMMIT:
            committed();
            [[fallthrough]];
        case XACT_EVENT_ABORT:
        case XACT_EVENT_PREPARE:
            wants_projector = wants_launcher = false;
            break;
        default:
            break;
    }
}

}  // namespace

void wake_projector_at_commit() noexcept {
    if (wants_projector || shared_state() == nullptr) return;
    if (!is_ours(known_slot)) known_slot = find_slot(MyDatabaseId);
    wants_projector = true;
}

void wake_launcher_at_commit() noexcept {
    if (shared_state() != nullptr) wants_launcher = true;
}

void watch_commits() {
    RegisterXactCallback(end_of_transaction, nullptr);
}

}  // namespace runtime

TELEMETRY_FUNCTION(telemetry_announce_installation) {
    runtime::wake_launcher_at_commit();
    PG_RETURN_VOID();
}
