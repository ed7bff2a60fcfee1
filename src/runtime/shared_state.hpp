// What backends, launcher and projectors share: one slot a database, saying which projector serves it and how it fares.
//
// There only when the library is preloaded: shared_state() is null otherwise, and every other function then does nothing
// and says "no worker". None of them raises or throws; all may be called in callbacks after commit.
#pragma once

#include <type_traits>

#include "postgres/pg.hpp"

namespace runtime {

enum class WorkerState : int { kNone, kStarting, kRunning, kFailing };

// Why a worker is gone, said by itself in its last breath.
enum class WorkerEnd : int {
    kDied,      // it had no say: terminated, or an error
    kAbsent,    // there is no extension
    kGaveWay,   // somebody changes the database as a whole
    kUnwanted,  // telemetry_cqrs.start_worker is off
};

struct LastError {
    TimestampTz at;  // 0: there was none
    int sqlstate;
    char text[400];  // ends with NUL, cut between characters
};

// What telemetry.stat_ingest counts, in the order of its columns.
enum class IngestFigure : int { kAccepted, kDuplicates, kConflicts, kRejected, kRolledBack, kRaised, kCommands, kBatches };
constexpr int kIngestFigures = 8;

struct IngestCounters {
    pg_atomic_uint64 counts[kIngestFigures];
    TimestampTz since;  // when counting began
    int last_error_sqlstate;
    TimestampTz last_error_at;  // 0: there was none
};

// Given by the session that committed a pass for a consumer of the log: counted first, then told.
struct PassSignal {
    pg_atomic_uint64 pass_count;
    ConditionVariable pass_ended;
};
constexpr int kPassSignalCount = 4;  // one for each consumer of the log, by its number

struct DatabaseSlot {
    pg_atomic_uint32 database;  // its oid; InvalidOid: the slot is free
    pg_atomic_uint32 procno;    // of the attached projector, kNoProcess without one
    int pid;                    // of the attached projector, 0 without one
    WorkerState state;
    TimestampTz since;   // when `state` began
    bool is_poked;       // somebody asked the launcher to look; cleared when it starts a worker
    WorkerEnd last_end;  // of the last worker
    LastError error;
    PassSignal pass_signals[kPassSignalCount];
    IngestCounters ingest;  // runtime/statistics.hpp
};

// Locking: every field of the slots and `must_look_everywhere` are written under `lock` held exclusively and read under it held
// shared. `database`, `procno`, `pass_signals`, `ingest.counts` and the fields outside the slots are atomic and may be read at
// any time; who acts on such a look must bear that it is a moment old (a latch set for nothing is harmless).
struct SharedState {
    LWLock* lock;
    pg_atomic_uint32 launcher_procno;
    pg_atomic_uint32 server_read_only;  // the server's own default_transaction_read_only, as the launcher sees it
    bool must_look_everywhere;          // somebody poked for whom there was no free slot
    int slot_count;
    DatabaseSlot slots[1];  // slot_count of them
};

static_assert(std::is_standard_layout_v<SharedState> && std::is_trivially_copyable_v<SharedState>);
static_assert(std::is_trivially_destructible_v<SharedState>);

constexpr uint32 kNoProcess = PG_UINT32_MAX;

SharedState* shared_state() noexcept;

// Called once, by _PG_init while the server preloads the library.
void request_shared_state();

const char* name_of(WorkerState state) noexcept;

struct WorkerStatus {
    int pid;
    WorkerState state;
    TimestampTz since;  // 0 where no worker was ever started
    LastError error;
    bool is_poked;
    WorkerEnd last_end;
};

// A copy of what is known about a database's worker.
WorkerStatus worker_status(Oid database) noexcept;

// For the launcher.
bool report_starting(Oid database) noexcept;  // false: no slot is free
// The worker cannot be started, or not yet: `reason` is kept unless the worker itself gave one at or after `unless_since`.
void report_not_started(Oid database, int sqlstate, const char* reason, TimestampTz unless_since) noexcept;
void forget_database(Oid database) noexcept;      // frees its slot, unless a projector is attached
bool forget_unless_poked(Oid database) noexcept;  // the same; false and nothing done where somebody poked meanwhile
bool take_look_everywhere() noexcept;             // and clears it

// For the projector of `MyDatabaseId`. `attach_worker` is false when another process serves the database or no slot is free.
bool attach_worker() noexcept;
void report_running() noexcept;
void report_failing(int sqlstate, const char* text) noexcept;
void detach_worker(WorkerEnd end) noexcept;

// Number of the slot of a database, or -1.
int find_slot_number(Oid database) noexcept;

// The slot of a database, made if it has none; null when all are taken. It is the database's for as long as it names it.
DatabaseSlot* find_or_make_slot(Oid database) noexcept;

// Counts from nothing. With the lock held.
void reset_counters(IngestCounters& counters, TimestampTz now) noexcept;

// Asks the launcher to look at a database, now.
void poke_launcher(Oid database) noexcept;

// Of a consumer of this database; null where the database has no slot.
PassSignal* pass_signal(int consumer) noexcept;

// Sets the latch of a process that is known by its number; kNoProcess is nobody.
void set_latch_of(uint32 procno) noexcept;

}  // namespace runtime
