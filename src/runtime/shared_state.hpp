// The memory that backends, launcher and workers share. It has one slot for each database, which says which workers serve the
// database and how they fare.
//
// It exists only if the library is preloaded. Otherwise shared_state() is null, and every other function does nothing and
// reports "no worker". No function raises or throws, and all of them may be called in callbacks after commit.
#pragma once

#include <string_view>
#include <type_traits>

#include "runtime/role.hpp"

#include "postgres/pg.hpp"

namespace runtime {

enum class WorkerState : int { kNone, kStarting, kRunning, kFailing };

// Why a worker is gone. The worker says so itself while it exits.
enum class WorkerEnd : int {
    kDied,      // it was terminated, or ended with an error, and said nothing
    kAbsent,    // the database has no extension
    kGaveWay,   // a statement drops, renames, moves or copies the database
    kUnwanted,  // telemetry_cqrs.start_worker is off
};

struct LastError {
    TimestampTz at;  // 0: there was none
    char text[400];  // ends with NUL, cut between characters
};

// The figures of telemetry.stat_ingest, in the order of its columns.
enum class IngestFigure : int { kAccepted, kDuplicates, kConflicts, kRejected, kRolledBack, kRaised, kCommands, kBatches };
constexpr int kIngestFigures = 8;

struct IngestCounters {
    pg_atomic_uint64 counts[kIngestFigures];
    TimestampTz since;  // when counting began
    int last_error_sqlstate;
    TimestampTz last_error_at;  // 0: there was none
};

// Tells waiting sessions that a pass for a projection is over. The session that committed the pass first increments the count
// and then wakes them. Projections may share a signal, because a session that is woken for nothing only looks once more.
struct PassSignal {
    pg_atomic_uint64 pass_count;
    ConditionVariable pass_ended;
};

constexpr int kPassSignalCount = 16;

// A worker of one seat.
struct WorkerSlot {
    pg_atomic_uint32 procno;  // of the attached worker, kNoProcess without one
    pg_atomic_uint32 rest;    // flags of runtime/rest.hpp
    int pid;                  // of the attached worker, 0 without one
    WorkerState state;
    TimestampTz since;   // when `state` began
    WorkerEnd last_end;  // of the last worker
    LastError error;
};

// The servers outside to which the relay sends.
enum class RelaySink : int { kNats, kRedis };
inline constexpr int kRelaySinks = 2;

enum class SinkCondition : int { kStopped, kResting, kConnecting, kConnected, kBackingOff };

// What the relay says of a sink since it started.
struct SinkReport {
    SinkCondition condition;
    TimestampTz since;  // when the condition began; 0: there was none yet
    char server[160];   // the URL without secrets
    std::uint64_t sent, acknowledged, duplicates, failures, late_repeats, pending;
    char note[200];
    char phase[16];   // of the last failure
    LastError error;  // the last failure
};

// The count of events that the commands of a database committed, and how many of them the projector has read
// (runtime/backlog.hpp).
struct BacklogCounters {
    pg_atomic_uint64 committed;  // it only grows
    pg_atomic_uint64 read;       // differs from `committed` by the backlog; the sums wrap around
    pg_atomic_uint32 is_known;   // 0: `read` says nothing of what was committed before the server started
    pg_atomic_uint64 speed;      // events a second in the last large pass; 0: not known
};

struct DatabaseSlot {
    pg_atomic_uint32 database;       // oid; InvalidOid: the slot is free
    bool is_poked;                   // a session asked the launcher to look; the launcher clears it when it starts a projector
    WorkerSlot workers[kSeatCount];  // by seat
    PassSignal pass_signals[kPassSignalCount];
    SinkReport sinks[kRelaySinks];         // runtime/relay_report.hpp
    IngestCounters ingest;                 // runtime/statistics.hpp
    pg_atomic_uint64 total_bucket;         // runtime/quotas.hpp
    pg_atomic_uint64 refused_requests[3];  // by Limit
    pg_atomic_uint64 last_refused_at;      // 0: never
    BacklogCounters backlog;
};

// A port at which the workers of a database answer HTTP (runtime/port_claims.hpp).
struct PortClaim {
    int port;  // 0: none
    Oid database;
    int workers;
};
inline constexpr int kMostPortClaims = 64;

// Eight entries of the table of device buckets (runtime/quotas.hpp). Keys and states have a cache line each.
inline constexpr int kBucketWays = 8;
inline constexpr int kBucketSets = 16384;
struct BucketSet {
    pg_atomic_uint64 keys[kBucketWays];      // 0: never taken
    pg_atomic_uint64 arrivals[kBucketWays];  // as model/gcra.hpp has them
};

// Locking:
// - A process holds `lock` exclusively to write a member of a slot or `must_look_everywhere`, and shared to read one.
// - `database`, `procno`, `rest`, `pass_signals`, `ingest.counts`, the quotas and the backlog, `launcher_procno` and
//   `server_read_only` are atomic. So any
//   process may read them without the lock. The value may be a moment old, and the reader must bear that. A latch that is set
//   for nothing is harmless. Any process may also change `rest` without the lock.
struct SharedState {
    LWLock* lock;
    pg_atomic_uint32 launcher_procno;
    pg_atomic_uint32 server_read_only;    // the server's own default_transaction_read_only, as the launcher sees it
    pg_atomic_uint64 unbounded_requests;  // requests of devices that found no bucket
    PortClaim port_claims[kMostPortClaims];
    bool must_look_everywhere;  // a session poked, and there was no free slot for its database
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
    WorkerEnd last_end;
};

// Copies what the slot says about a database's worker of a seat.
WorkerStatus worker_status(Oid database, Seat seat) noexcept;

// For the launcher.
bool report_starting(Oid database, Seat seat) noexcept;  // false: no slot is free
// For a worker that cannot be started, or not yet. Keeps `reason`, unless the worker itself gave one at or after
// `unless_since`.
void report_not_started(Oid database, Seat seat, const char* reason, TimestampTz unless_since) noexcept;
bool is_poked(Oid database) noexcept;
void forget_database(Oid database) noexcept;      // frees the slot, unless a worker is attached
bool forget_unless_poked(Oid database) noexcept;  // the same; false if a session poked meanwhile, and then the slot stays
bool take_look_everywhere() noexcept;             // returns `must_look_everywhere` and clears it

// For the worker of `MyDatabaseId` in this seat. `attach_worker` returns false if another process has the seat or no slot is
// free.
bool attach_worker(Seat seat) noexcept;
void report_running(Seat seat) noexcept;  // the first time, it wakes the launcher
void report_failing(Seat seat, const char* text) noexcept;
void detach_worker(Seat seat, WorkerEnd end) noexcept;

// Returns the number of the database's slot, or -1.
int find_slot_number(Oid database) noexcept;

inline WorkerSlot& slot_of(DatabaseSlot& slot, Seat seat) noexcept {
    return slot.workers[ordinal_of(seat)];
}

// Returns the slot of a database, and makes one if it has none. Null if all slots are taken. The slot belongs to the database
// as long as its member `database` says so.
DatabaseSlot* find_or_make_slot(Oid database) noexcept;

// The same for the database of this session. The session remembers the slot, so this costs one look.
DatabaseSlot* own_slot() noexcept;

// The table of device buckets, kBucketSets of them. Only with shared memory.
BucketSet* bucket_sets() noexcept;

// Sets all counters to 0. The caller holds the lock.
void reset_counters(IngestCounters& counters, TimestampTz now) noexcept;

// Asks the launcher to look at a database at once.
void poke_launcher(Oid database) noexcept;

// The number of a projection's signal.
int pass_signal_number(std::string_view projection) noexcept;

// Returns the signal of this database with this number. Null if the database has no slot.
PassSignal* pass_signal(int number) noexcept;

// Sets the latch of the process with this number. Does nothing for kNoProcess.
void set_latch_of(uint32 procno) noexcept;

}  // namespace runtime
