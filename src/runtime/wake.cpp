// A callback at the end of the transaction wakes the others. It looks nothing up, because nothing may fail after a commit.
#include "runtime/wake.hpp"

#include <algorithm>
#include <iterator>

#include "postgres/entry_point.hpp"
#include "postgres/error.hpp"
#include "postgres/server_versions.hpp"
#include "runtime/installed.hpp"
#include "runtime/projector_process.hpp"
#include "runtime/rest.hpp"
#include "runtime/settings.hpp"
#include "runtime/shared_state.hpp"
#include "runtime/start_record.hpp"
#include "runtime/steady_time.hpp"

#include "postgres/pg.hpp"

namespace runtime {
namespace {

// The transaction in progress has asked for these.
bool wants_projector = false;
bool wants_launcher = false;
bool wants_waiters_told[kPassSignalCount] = {};  // by the number of the signal

int known_slot_number = -1;  // where this database was found last
SteadyTime last_poke_at = 0;

// For servers without the extension's shared memory.
ProjectorProcess known_projector{kNoProcess, 0};
bool is_projector_on_its_way = false;  // started, and not found yet
SteadyTime last_look_at = 0;

constexpr SteadyTime kPokeInterval = USECS_PER_SEC;
constexpr SteadyTime kLookInterval = USECS_PER_SEC;

bool is_ours(int slot_number) noexcept {
    return slot_number >= 0 && pg_atomic_read_u32(&shared_state()->slots[slot_number].database) == MyDatabaseId;
}

// The slot of the projector that serves this database, or null.
WorkerSlot* find_served_slot() noexcept {
    if (!is_ours(known_slot_number)) return nullptr;
    WorkerSlot& slot = slot_of(shared_state()->slots[known_slot_number], Role::kProjector);
    return pg_atomic_read_u32(&slot.procno) == kNoProcess ? nullptr : &slot;
}

// Sets the latch of every background worker of the database. The projector that was started is either among them or takes its
// first snapshot after the commit.
void wake_workers_of_database() noexcept {
    for (uint32 i = 0; i < ProcGlobal->allProcCount; ++i) {
        const PGPROC& process = ProcGlobal->allProcs[i];
        if (postgres::is_background_worker(process) && process.databaseId == MyDatabaseId) set_latch_of(i);
    }
}

bool wants_some_waiters_told() noexcept {
    return std::any_of(std::begin(wants_waiters_told), std::end(wants_waiters_told), [](bool each) { return each; });
}

void tell_wanted_waiters() noexcept {
    for (int number = 0; number < kPassSignalCount; ++number) {
        PassSignal* signal = wants_waiters_told[number] ? pass_signal(number) : nullptr;
        if (signal == nullptr) continue;
        pg_atomic_fetch_add_u64(&signal->pass_count, 1);
        ConditionVariableBroadcast(&signal->pass_ended);
    }
}

// Starts a projector at the end of CREATE EXTENSION or ALTER EXTENSION UPDATE, if one was wanted before. A projector that a
// command started earlier could not see this transaction yet. So it has found no extension or another version, and has left.
// The client of that command may never send another one.
void start_wanted_projector() noexcept {
    if (!settings().start_worker) return;
    const StartRecord record = read_start_record();
    if (!is_projector_on_its_way && record.tried_at == 0) return;
    remove_start_record();
    const bool is_started = postgres::start_worker_unwatched(program_of(Role::kProjector), MyDatabaseId);
    if (!is_started && record.tried_at != 0) write_start_record(record);
}

void wake_without_shared_memory() noexcept {
    if (wants_projector) {
        if (is_there(known_projector))
            set_latch_of(known_projector.procno);
        else if (is_projector_on_its_way)
            wake_workers_of_database();
    }
    if (wants_launcher) start_wanted_projector();
}

void wake_wanted() noexcept {
    if (shared_state() == nullptr) return wake_without_shared_memory();
    WorkerSlot* slot = wants_projector ? find_served_slot() : nullptr;
    if (slot != nullptr) tell_news(*slot);
    const bool is_nobody_there = wants_projector && slot == nullptr && settings().start_worker;
    if (!wants_launcher && !is_nobody_there) return;
    const SteadyTime now = steady_time();
    if (!wants_launcher && now - last_poke_at < kPokeInterval) return;
    last_poke_at = now;
    poke_launcher(MyDatabaseId);
}

// Runs after the commit became visible. Raises nothing, allocates nothing, reads no table.
void end_of_transaction(XactEvent event, void*) noexcept {
    if (!wants_projector && !wants_launcher && !wants_some_waiters_told()) return;
    switch (event) {
        case XACT_EVENT_COMMIT:
            tell_wanted_waiters();
            if (wants_projector || wants_launcher) wake_wanted();
            [[fallthrough]];
        case XACT_EVENT_ABORT:
        case XACT_EVENT_PREPARE:
            wants_projector = wants_launcher = false;
            std::fill(std::begin(wants_waiters_told), std::end(wants_waiters_told), false);
            break;
        default:
            break;
    }
}

// For CREATE EXTENSION and ALTER EXTENSION UPDATE. The launcher will look at this database. Without a launcher the commit
// starts a projector, if a command has wanted one before.
void wake_launcher_at_commit() noexcept {
    wants_launcher = true;
}

}  // namespace

void wake_projector_at_commit() {
    if (wants_projector) return;
    if (shared_state() == nullptr)
        start_missing_projector();
    else if (!is_ours(known_slot_number))
        known_slot_number = find_slot_number(MyDatabaseId);
    wants_projector = true;
}

void start_missing_projector() {
    if (shared_state() != nullptr || !settings().start_worker || is_there(known_projector)) return;
    // A session that knew a projector which is gone looks at once.
    const SteadyTime now = steady_time();
    const bool is_soon = now - last_look_at < kLookInterval;
    if (known_projector.procno == kNoProcess && is_soon) return;
    last_look_at = now;
    known_projector = find_projector();
    is_projector_on_its_way = known_projector.procno == kNoProcess && start_projector();
}

void tell_waiters_at_commit(std::string_view projection) noexcept {
    wants_waiters_told[pass_signal_number(projection)] = true;
}

void watch_commits() {
    postgres::guarded([] { RegisterXactCallback(end_of_transaction, nullptr); });
}

}  // namespace runtime

TELEMETRY_FUNCTION(telemetry_announce_installation) {
    runtime::announce_relations();
    runtime::wake_launcher_at_commit();
    PG_RETURN_VOID();
}
