// Registers, starts and prepares background workers by the server's rules.
#include "postgres/background_worker.hpp"

#include "postgres/error.hpp"
#include "postgres/server_versions.hpp"

#include "postgres/pg.hpp"

namespace postgres {
namespace {

constexpr int kStaticRestartSeconds = 5;
constexpr long kLongestDeafMilliseconds = 50;  // every process of the server must answer a barrier soon

BackgroundWorker description_of(const WorkerProgram& program) {
    BackgroundWorker worker{};
    worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
    worker.bgw_start_time = BgWorkerStart_ConsistentState;
    strlcpy(worker.bgw_name, program.type, BGW_MAXLEN);
    strlcpy(worker.bgw_type, program.type, BGW_MAXLEN);
    strlcpy(worker.bgw_library_name, "telemetry_cqrs", BGW_MAXLEN);
    strlcpy(worker.bgw_function_name, program.function, BGW_MAXLEN);
    return worker;
}

BackgroundWorker dynamic_description_of(const WorkerProgram& program, const WorkerArgument& argument) {
    BackgroundWorker worker = description_of(program);
    worker.bgw_restart_time = BGW_NEVER_RESTART;
    worker.bgw_main_arg = datum_of(argument);
    return worker;
}

struct SessionSetting {
    const char* name;
    const char* value;
};

// A database or a role can set each of these. They decide what our statements mean, whether they may write and how long they
// last. commit_delay lets a commit that waits for the disk begin a moment later. A client that the last flush has just answered
// then shares this flush, where it would otherwise wait for it and need one of its own.
constexpr SessionSetting kSessionSettings[] = {
    {"role", "none"},
    {"search_path", "pg_catalog, pg_temp"},
    {"default_transaction_isolation", "read committed"},
    {"default_transaction_read_only", "off"},
    {"default_transaction_deferrable", "off"},
    {"session_replication_role", "origin"},
    {"synchronous_commit", "off"},
    {"commit_delay", "300"},
    {"commit_siblings", "0"},
    {"statement_timeout", "0"},
    {"lock_timeout", "0"},
    {"idle_in_transaction_session_timeout", "0"},
    {"idle_session_timeout", "0"},
    {"exit_on_error", "off"},
    {"DateStyle", "ISO, MDY"},
    {"IntervalStyle", "postgres"},
    {"TimeZone", "UTC"},
    {"bytea_output", "hex"},
    {"extra_float_digits", "1"},
    {"array_nulls", "on"},
    {"transform_null_equals", "off"},
    {"quote_all_identifiers", "off"},
    {"standard_conforming_strings", "on"},
    {"plan_cache_mode", "auto"},
    {"enable_indexscan", "on"},
    {"enable_bitmapscan", "on"},
    {"enable_hashjoin", "on"},
    {"enable_nestloop", "on"},
    {"enable_sort", "on"},
    {kForcedParallelism, "off"},
    {"max_parallel_workers_per_gather", "0"},
    {"jit", "off"},
    {"default_table_access_method", "heap"},
    {"default_tablespace", ""},
    {"temp_tablespaces", ""},
};

}  // namespace

Datum datum_of(const WorkerArgument& argument) noexcept {
    return UInt64GetDatum(static_cast<uint64>(static_cast<uint32>(argument.number)) << 32 | argument.database);
}

WorkerArgument worker_argument(Datum argument) noexcept {
    const uint64 packed = DatumGetUInt64(argument);
    return {static_cast<Oid>(packed), static_cast<int>(packed >> 32)};
}

void leave_if_asked() {
    if (ProcDiePending) proc_exit(1);
}

void register_static_worker(const WorkerProgram& program) {
    guarded([&program] {
        BackgroundWorker worker = description_of(program);
        worker.bgw_restart_time = kStaticRestartSeconds;
        RegisterBackgroundWorker(&worker);
    });
}

BackgroundWorkerHandle* start_worker(const WorkerProgram& program, const WorkerArgument& argument) {
    return guarded([&program, &argument] {
        BackgroundWorker worker = dynamic_description_of(program, argument);
        worker.bgw_notify_pid = MyProcPid;
        BackgroundWorkerHandle* handle = nullptr;
        return RegisterDynamicBackgroundWorker(&worker, &handle) ? handle : nullptr;
    });
}

bool start_worker_unwatched(const WorkerProgram& program, const WorkerArgument& argument) {
    return guarded([&program, &argument] {
        BackgroundWorker worker = dynamic_description_of(program, argument);
        return RegisterDynamicBackgroundWorker(&worker, nullptr);
    });
}

namespace {

// The worker has not read the configuration itself yet.
constinit bool must_catch_up = false;

}  // namespace

void connect_worker(Oid database) {
    guarded([database] {
        pqsignal(SIGHUP, SignalHandlerForConfigReload);
        pqsignal(SIGTERM, die);
        BackgroundWorkerUnblockSignals();
        // The server drops a SIGHUP that comes just after the fork. The first turn reads what it changed.
        must_catch_up = true;
        lift_transaction_timeout();  // before the first transaction, which connects
        BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, 0);
    });
}

void prepare_worker_session(const char* application_name) {
    guarded([application_name] {
        SetSessionAuthorization(BOOTSTRAP_SUPERUSERID, true);
        for (const SessionSetting& setting : kSessionSettings)
            SetConfigOption(setting.name, setting.value, PGC_SUSET, PGC_S_OVERRIDE);
        SetConfigOption("application_name", application_name, PGC_SUSET, PGC_S_OVERRIDE);
    });
}

void override_setting(const char* name, const char* value) {
    guarded([name, value] { SetConfigOption(name, value, PGC_SUSET, PGC_S_OVERRIDE); });
}

void begin_turn(MemoryContext turn) {
    guarded([turn] {
        MemoryContextSwitchTo(turn);
        MemoryContextReset(turn);
        ResetLatch(MyLatch);
        leave_if_asked();
        // A waiting worker ends with the postmaster. A busy one does not wait, and while it lives no new postmaster can start.
        if (!PostmasterIsAlive()) proc_exit(1);
        CHECK_FOR_INTERRUPTS();
        if (ConfigReloadPending || must_catch_up) {
            const TimestampTz loaded_at = PgReloadTime;
            ConfigReloadPending = false;
            ProcessConfigFile(PGC_SIGHUP);
            if (must_catch_up) PgReloadTime = loaded_at;  // the server loaded these settings then, and the relay begins there
            must_catch_up = false;
        }
    });
}

bool wait_for_latch(long milliseconds) {
    return guarded([milliseconds] {
        const int events = WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, milliseconds, PG_WAIT_EXTENSION);
        leave_if_asked();
        return (events & WL_LATCH_SET) != 0;
    });
}

void wait_without_latch(long milliseconds) {
    guarded([milliseconds] {
        for (long left = milliseconds; left > 0; left -= kLongestDeafMilliseconds) {
            WaitLatch(nullptr, WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, Min(left, kLongestDeafMilliseconds), PG_WAIT_EXTENSION);
            leave_if_asked();
            CHECK_FOR_INTERRUPTS();
        }
    });
}

}  // namespace postgres
