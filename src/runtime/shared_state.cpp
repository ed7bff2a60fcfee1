// The slots of the databases lie in shared memory.
#include "runtime/shared_state.hpp"

#include <algorithm>
#include <cstddef>
#include <iterator>

#include "postgres/server_versions.hpp"
#include "postgres/shared_memory.hpp"
#include "postgres/text.hpp"

#include "postgres/pg.hpp"

namespace runtime {
namespace {

SharedState* shared = nullptr;
DatabaseSlot* known_slot = nullptr;  // of this session's database

// There are slots for as many workers as the server can run, and for some databases that get none.
int slot_count() {
    return Max(64, max_worker_processes);
}

// The slots lie first, and the sets of buckets behind them.
Size offset_of_buckets(int slots) {
    return TYPEALIGN(PG_CACHE_LINE_SIZE, offsetof(SharedState, slots) + static_cast<Size>(slots) * sizeof(DatabaseSlot));
}

Size size_of_state() {
    return offset_of_buckets(slot_count()) + sizeof(BucketSet) * kBucketSets;
}

void initialise_limits(DatabaseSlot& slot) {
    pg_atomic_init_u64(&slot.total_bucket, 0);
    for (pg_atomic_uint64& count : slot.refused_requests) pg_atomic_init_u64(&count, 0);
    pg_atomic_init_u64(&slot.last_refused_at, 0);
    pg_atomic_init_u64(&slot.backlog.committed, 0);
    pg_atomic_init_u64(&slot.backlog.read, 0);
    pg_atomic_init_u32(&slot.backlog.is_known, 0);
    pg_atomic_init_u64(&slot.backlog.speed, 0);
}

// The server calls this with memory that is zero, and also when a process attaches to memory that another one has set up. The
// lock tells the two apart, because it is set last.
void initialise(void* memory, LWLock* lock) {
    shared = static_cast<SharedState*>(memory);
    if (shared->lock != nullptr) return;
    shared->slot_count = slot_count();
    pg_atomic_init_u32(&shared->launcher_procno, kNoProcess);
    pg_atomic_init_u32(&shared->server_read_only, 0);
    for (int i = 0; i < shared->slot_count; ++i) {
        pg_atomic_init_u32(&shared->slots[i].database, InvalidOid);
        for (WorkerSlot& worker : shared->slots[i].workers) {
            pg_atomic_init_u32(&worker.procno, kNoProcess);
            pg_atomic_init_u32(&worker.rest, 0);
        }
        for (PassSignal& signal : shared->slots[i].pass_signals) {
            pg_atomic_init_u64(&signal.pass_count, 0);
            ConditionVariableInit(&signal.pass_ended);
        }
        for (pg_atomic_uint64& count : shared->slots[i].ingest.counts) pg_atomic_init_u64(&count, 0);
        initialise_limits(shared->slots[i]);
    }
    pg_atomic_init_u64(&shared->unbounded_requests, 0);
    for (int i = 0; i < kBucketSets; ++i) {
        for (pg_atomic_uint64& key : bucket_sets()[i].keys) pg_atomic_init_u64(&key, 0);
        for (pg_atomic_uint64& arrival : bucket_sets()[i].arrivals) pg_atomic_init_u64(&arrival, 0);
    }
    shared->lock = lock;
}

constexpr postgres::SharedMemoryRequest kRequest{"telemetry_cqrs", size_of_state, initialise};

// The callers of the functions below hold the lock.

DatabaseSlot* find_slot_locked(Oid database) {
    for (int i = 0; i < shared->slot_count; ++i)
        if (pg_atomic_read_u32(&shared->slots[i].database) == database) return &shared->slots[i];
    return nullptr;
}

DatabaseSlot* find_or_make_slot_locked(Oid database) {
    if (DatabaseSlot* slot = find_slot_locked(database)) return slot;
    DatabaseSlot* slot = find_slot_locked(InvalidOid);
    if (slot == nullptr) return nullptr;
    slot->is_poked = false;
    for (WorkerSlot& worker : slot->workers) {
        worker.pid = 0;
        worker.state = WorkerState::kNone;
        worker.since = 0;
        worker.last_end = WorkerEnd::kDied;
        worker.error = LastError{};
        pg_atomic_write_u32(&worker.procno, kNoProcess);
    }
    for (SinkReport& sink : slot->sinks) sink = SinkReport{};
    reset_counters(slot->ingest, GetCurrentTimestamp());
    initialise_limits(*slot);
    pg_atomic_write_u32(&slot->database, database);
    return slot;
}

bool has_workers(const DatabaseSlot& slot) {
    return std::any_of(std::begin(slot.workers), std::end(slot.workers), [](const WorkerSlot& each) { return each.pid != 0; });
}

// The slot of this database's worker, or null.
WorkerSlot* find_own_worker_locked(Seat seat) {
    DatabaseSlot* slot = find_slot_locked(MyDatabaseId);
    return slot == nullptr ? nullptr : &slot_of(*slot, seat);
}

void enter(WorkerSlot& worker, WorkerState next, TimestampTz now) {
    if (worker.state != next) worker.since = now;
    worker.state = next;
}

void note_error(WorkerSlot& worker, const char* text, TimestampTz now) {
    postgres::copy_cut(worker.error.text, text);
    worker.error.at = now;
}

}  // namespace

SharedState* shared_state() noexcept {
    return shared;
}

void request_shared_state() {
    postgres::request_shared_memory(kRequest);
}

const char* name_of(WorkerState state) noexcept {
    switch (state) {
        case WorkerState::kNone:
            return "none";
        case WorkerState::kStarting:
            return "starting";
        case WorkerState::kRunning:
            return "running";
        case WorkerState::kFailing:
            return "failing";
    }
    return "none";
}

WorkerStatus worker_status(Oid database, Seat seat) noexcept {
    WorkerStatus status{};
    if (shared == nullptr) return status;
    postgres::LockHeld held(shared->lock, LW_SHARED);
    if (DatabaseSlot* slot = find_slot_locked(database)) {
        const WorkerSlot& worker = slot_of(*slot, seat);
        status = {worker.pid, worker.state, worker.since, worker.error, worker.last_end};
    }
    return status;
}

bool report_starting(Oid database, Seat seat) noexcept {
    if (shared == nullptr) return false;
    const TimestampTz now = GetCurrentTimestamp();
    postgres::LockHeld held(shared->lock, LW_EXCLUSIVE);
    DatabaseSlot* slot = find_or_make_slot_locked(database);
    if (slot == nullptr) return false;
    if (seat == Role::kProjector) slot->is_poked = false;
    WorkerSlot& worker = slot_of(*slot, seat);
    if (worker.pid != 0) return true;  // a worker is there, and the new one will find the slot taken and leave
    worker.last_end = WorkerEnd::kDied;
    enter(worker, WorkerState::kStarting, now);
    return true;
}

void report_not_started(Oid database, Seat seat, const char* reason, TimestampTz unless_since) noexcept {
    if (shared == nullptr) return;
    const TimestampTz now = GetCurrentTimestamp();
    postgres::LockHeld held(shared->lock, LW_EXCLUSIVE);
    DatabaseSlot* slot = find_or_make_slot_locked(database);
    if (slot == nullptr) return;
    WorkerSlot& worker = slot_of(*slot, seat);
    if (worker.pid != 0) return;
    enter(worker, WorkerState::kFailing, now);
    if (worker.error.at == 0 || worker.error.at < unless_since) note_error(worker, reason, now);
}

bool is_poked(Oid database) noexcept {
    if (shared == nullptr) return false;
    postgres::LockHeld held(shared->lock, LW_SHARED);
    const DatabaseSlot* slot = find_slot_locked(database);
    return slot != nullptr && slot->is_poked;
}

void forget_database(Oid database) noexcept {
    if (shared == nullptr) return;
    postgres::LockHeld held(shared->lock, LW_EXCLUSIVE);
    DatabaseSlot* slot = find_slot_locked(database);
    if (slot != nullptr && !has_workers(*slot)) pg_atomic_write_u32(&slot->database, InvalidOid);
}

bool forget_unless_poked(Oid database) noexcept {
    if (shared == nullptr) return true;
    postgres::LockHeld held(shared->lock, LW_EXCLUSIVE);
    DatabaseSlot* slot = find_slot_locked(database);
    if (slot == nullptr) return true;
    if (slot->is_poked) return false;
    if (!has_workers(*slot)) pg_atomic_write_u32(&slot->database, InvalidOid);
    return true;
}

bool take_look_everywhere() noexcept {
    if (shared == nullptr) return false;
    postgres::LockHeld held(shared->lock, LW_EXCLUSIVE);
    const bool was_set = shared->must_look_everywhere;
    shared->must_look_everywhere = false;
    return was_set;
}

bool attach_worker(Seat seat) noexcept {
    if (shared == nullptr) return false;
    const TimestampTz now = GetCurrentTimestamp();
    postgres::LockHeld held(shared->lock, LW_EXCLUSIVE);
    DatabaseSlot* slot = find_or_make_slot_locked(MyDatabaseId);
    if (slot == nullptr) return false;
    WorkerSlot& worker = slot_of(*slot, seat);
    if (worker.pid != 0) return false;
    worker.pid = MyProcPid;
    worker.last_end = WorkerEnd::kDied;
    enter(worker, WorkerState::kStarting, now);
    pg_atomic_write_u32(&worker.rest, 0);
    pg_atomic_write_u32(&worker.procno, postgres::number_of_process(MyProc));
    return true;
}

void report_running(Seat seat) noexcept {
    if (shared == nullptr) return;
    const TimestampTz now = GetCurrentTimestamp();
    bool is_first = false;
    {
        postgres::LockHeld held(shared->lock, LW_EXCLUSIVE);
        WorkerSlot* worker = find_own_worker_locked(seat);
        if (worker == nullptr) return;
        is_first = worker->state == WorkerState::kStarting;
        enter(*worker, WorkerState::kRunning, now);
    }
    if (is_first) set_latch_of(pg_atomic_read_u32(&shared->launcher_procno));
}

void report_failing(Seat seat, const char* text) noexcept {
    if (shared == nullptr) return;
    const TimestampTz now = GetCurrentTimestamp();
    postgres::LockHeld held(shared->lock, LW_EXCLUSIVE);
    if (WorkerSlot* worker = find_own_worker_locked(seat)) {
        enter(*worker, WorkerState::kFailing, now);
        note_error(*worker, text, now);
    }
}

void detach_worker(Seat seat, WorkerEnd end) noexcept {
    if (shared == nullptr) return;
    const TimestampTz now = GetCurrentTimestamp();
    {
        postgres::LockHeld held(shared->lock, LW_EXCLUSIVE);
        WorkerSlot* worker = find_own_worker_locked(seat);
        if (worker == nullptr || worker->pid != MyProcPid) return;
        worker->pid = 0;
        worker->last_end = end;
        pg_atomic_write_u32(&worker->procno, kNoProcess);
        enter(*worker, WorkerState::kNone, now);
    }
    set_latch_of(pg_atomic_read_u32(&shared->launcher_procno));
}

int find_slot_number(Oid database) noexcept {
    if (shared == nullptr) return -1;
    postgres::LockHeld held(shared->lock, LW_SHARED);
    const DatabaseSlot* slot = find_slot_locked(database);
    return slot == nullptr ? -1 : static_cast<int>(slot - shared->slots);
}

DatabaseSlot* find_or_make_slot(Oid database) noexcept {
    if (shared == nullptr) return nullptr;
    postgres::LockHeld held(shared->lock, LW_EXCLUSIVE);
    return find_or_make_slot_locked(database);
}

DatabaseSlot* own_slot() noexcept {
    if (shared == nullptr) return nullptr;
    if (known_slot == nullptr || pg_atomic_read_u32(&known_slot->database) != MyDatabaseId)
        known_slot = find_or_make_slot(MyDatabaseId);
    return known_slot;
}

BucketSet* bucket_sets() noexcept {
    return reinterpret_cast<BucketSet*>(reinterpret_cast<char*>(shared) + offset_of_buckets(shared->slot_count));
}

void reset_counters(IngestCounters& counters, TimestampTz now) noexcept {
    for (pg_atomic_uint64& count : counters.counts) pg_atomic_write_u64(&count, 0);
    counters.since = now;
    counters.last_error_sqlstate = 0;
    counters.last_error_at = 0;
}

int pass_signal_number(std::string_view projection) noexcept {
    return static_cast<int>(postgres::hash_of(projection) % kPassSignalCount);
}

PassSignal* pass_signal(int number) noexcept {
    const int slot = find_slot_number(MyDatabaseId);
    return slot < 0 ? nullptr : &shared->slots[slot].pass_signals[number];
}

void poke_launcher(Oid database) noexcept {
    if (shared == nullptr) return;
    {
        postgres::LockHeld held(shared->lock, LW_EXCLUSIVE);
        if (DatabaseSlot* slot = find_or_make_slot_locked(database))
            slot->is_poked = true;
        else
            shared->must_look_everywhere = true;
    }
    set_latch_of(pg_atomic_read_u32(&shared->launcher_procno));
}

void set_latch_of(uint32 procno) noexcept {
    if (procno != kNoProcess) SetLatch(&ProcGlobal->allProcs[procno].procLatch);
}

}  // namespace runtime
