// Lets requests of the library under test fail: palloc by taking the place of the server's allocators, new by fault_new.so, SQL
// by hooks of the executor. A request counts while a function of the library runs (seen by the server's hook for function
// calls), in the projector always. None fails where the server itself promises not to ask for memory: in a critical section,
// and while a transaction is being started, committed or rolled back.
//
// Written wholly in P.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>

#include "fault.hpp"

#include "postgres/server_versions.hpp"

#include "postgres/pg.hpp"

extern "C" {
PG_MODULE_MAGIC;
void _PG_init(void);  // NOLINT(bugprone-reserved-identifier, readability-identifier-naming): the server's name
}

namespace {

// --- memory -----------------------------------------------------------------------------------------------------------

bool may_fail() {
    return CritSectionCount == 0 && (IsTransactionState() || !IsTransactionOrTransactionBlock());
}

// The server's statistics enter a reference into their hash table before they ask for its memory. If that request fails, the
// entry keeps the pointer of an earlier one, which is free by then, and the process crashes when it ends. Its lock manager
// enters a lock into its table before it asks for the memory of the owners. If that request fails in a subtransaction, the
// entry stays, and the next request for the same lock in that transaction crashes.
bool is_known_to_crash_the_server(MemoryContext context, Size size) {
    constexpr Size kLockOwners = 8 * sizeof(LOCALLOCKOWNER);
    return strcmp(context->name, "PgStat Shared Ref") == 0 || (context == TopMemoryContext && size == kLockOwners);
}

bool memory_fails() {
    if (!may_fail()) return false;
    if (fails(Fault::kCancel)) {
        QueryCancelPending = true;
        InterruptPending = true;
    }
    return fails(Fault::kPalloc);
}

// An allocator of the server, and the same with failures: one for each kind of memory context.
template <int kind>
struct Allocator {
    static inline constinit MemoryContextMethods before{};

    // The arguments differ from version to version of the server.
    template <typename... Arguments>
    static void* alloc(MemoryContext context, Size size, Arguments... arguments) {
        const bool may_fail_here = !is_known_to_crash_the_server(context, size);
        return may_fail_here && memory_fails() ? postgres::no_memory(context, size, arguments...)
                                               : before.alloc(context, size, arguments...);
    }
    template <typename... Arguments>
    static void* realloc(Arguments... arguments) {
        return memory_fails() ? postgres::no_memory(arguments...) : before.realloc(arguments...);
    }

    // The server's tables are constant: their pages are made writable first.
    static void take_over(MemoryContext example) {
        auto* methods = const_cast<MemoryContextMethods*>(example->methods);
        const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
        const uintptr_t in_page = reinterpret_cast<uintptr_t>(methods) & (page - 1);
        char* first = reinterpret_cast<char*>(methods) - in_page;
        if (mprotect(first, in_page + sizeof(MemoryContextMethods), PROT_READ | PROT_WRITE) != 0)
            elog(ERROR, "mprotect failed: %m");
        before = *methods;
        methods->alloc = alloc;
        methods->realloc = realloc;
        MemoryContextDelete(example);
    }
};

void take_over_allocators() {
    Allocator<0>::take_over(AllocSetContextCreate(TopMemoryContext, "fault_test", ALLOCSET_SMALL_SIZES));
    Allocator<1>::take_over(GenerationContextCreate(TopMemoryContext, "fault_test", ALLOCSET_SMALL_SIZES));
    Allocator<2>::take_over(SlabContextCreate(TopMemoryContext, "fault_test", 1024, 16));
}

// --- SQL --------------------------------------------------------------------------------------------------------------

ExecutorStart_hook_type executor_start_before = nullptr;
ProcessUtility_hook_type utility_before = nullptr;

void sql_may_fail() {
    if (may_fail() && fails(Fault::kSql)) ereport(ERROR, (errcode(ERRCODE_SYSTEM_ERROR), errmsg("fault_test: no SQL")));
}

void executor_start(QueryDesc* query, int flags) {
    sql_may_fail();
    if (executor_start_before != nullptr)
        executor_start_before(query, flags);
    else
        standard_ExecutorStart(query, flags);
}

void process_utility(PlannedStmt* statement, const char* text, bool read_only, ProcessUtilityContext context,
                     ParamListInfo parameters, QueryEnvironment* environment, DestReceiver* receiver,
                     QueryCompletion* completion) {
    sql_may_fail();
    if (utility_before != nullptr)
        utility_before(statement, text, read_only, context, parameters, environment, receiver, completion);
    else
        standard_ProcessUtility(statement, text, read_only, context, parameters, environment, receiver, completion);
}

// --- whose requests count ---------------------------------------------------------------------------------------------

needs_fmgr_hook_type needs_hook_before = nullptr;
fmgr_hook_type hook_before = nullptr;

bool is_under_test(Oid function) {
    HeapTuple row = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
    if (!HeapTupleIsValid(row)) return false;
    bool isnull;
    const Datum library = SysCacheGetAttr(PROCOID, row, Anum_pg_proc_probin, &isnull);
    const bool is_ours = !isnull && strstr(TextDatumGetCString(library), "telemetry_cqrs") != nullptr;
    ReleaseSysCache(row);
    return is_ours;
}

bool needs_hook(Oid function) {
    return (needs_hook_before != nullptr && needs_hook_before(function)) || is_under_test(function);
}

void enter_and_leave(FmgrHookEventType event, FmgrInfo* call, Datum* state) {
    if (hook_before != nullptr) hook_before(event, call, state);
    if (!is_under_test(call->fn_oid)) return;
    fault.depth += event == FHET_START ? 1 : -1;
}

// --- the projector ----------------------------------------------------------------------------------------------------

struct Shared {
    slock_t lock;
    int generation;
    Fault::Kind kind;
    long at;
    long seen;
    bool fired;
};
Shared* shared = nullptr;
shmem_startup_hook_type startup_before = nullptr;
shmem_request_hook_type request_before = nullptr;
int generation = 0;

// In a projector: takes a new order over, and tells what became of the last one.
void refresh(Fault::Kind kind) {
    if (shared == nullptr || MyBgworkerEntry == nullptr ||
        strcmp(MyBgworkerEntry->bgw_function_name, "telemetry_projector_main") != 0)
        return;
    SpinLockAcquire(&shared->lock);
    fault.depth = 1;
    if (generation != shared->generation) {
        generation = shared->generation;
        fault.kind = shared->fired ? Fault::kNone : shared->kind;
        fault.at = shared->at;
        fault.seen = 0;
        fault.fired = false;
    }
    shared->seen = Max(shared->seen, fault.seen);
    // Counted up right after this call.
    if (fault.kind == kind && !fault.fired && fault.seen + 1 == fault.at) shared->fired = true;
    SpinLockRelease(&shared->lock);
}

void request_shared() {
    if (request_before != nullptr) request_before();
    RequestAddinShmemSpace(sizeof(Shared));
}

void start_shared() {
    if (startup_before != nullptr) startup_before();
    bool found;
    LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
    shared = static_cast<Shared*>(ShmemInitStruct("fault_test", sizeof(Shared), &found));
    if (!found) {
        memset(shared, 0, sizeof *shared);
        SpinLockInit(&shared->lock);
    }
    LWLockRelease(AddinShmemInitLock);
}

// --- SQL functions ----------------------------------------------------------------------------------------------------

Fault::Kind kind_of(text* name) {
    const char* kind = text_to_cstring(name);
    if (strcmp(kind, "palloc") == 0) return Fault::kPalloc;
    if (strcmp(kind, "new") == 0) return Fault::kNew;
    if (strcmp(kind, "sql") == 0) return Fault::kSql;
    if (strcmp(kind, "cancel") == 0) return Fault::kCancel;
    elog(ERROR, "unknown kind of fault: %s", kind);
}

Datum fired_and_seen(FunctionCallInfo fcinfo, bool fired, long seen) {
    TupleDesc row_type;
    if (get_call_result_type(fcinfo, nullptr, &row_type) != TYPEFUNC_COMPOSITE) elog(ERROR, "not a row");
    Datum values[] = {BoolGetDatum(fired), Int64GetDatum(seen)};
    bool isnull[] = {false, false};
    return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(row_type), values, isnull));
}

}  // namespace

void _PG_init(void) {
    if (!process_shared_preload_libraries_in_progress) elog(ERROR, "fault_test belongs into shared_preload_libraries");
    take_over_allocators();
    executor_start_before = ExecutorStart_hook;
    ExecutorStart_hook = executor_start;
    utility_before = ProcessUtility_hook;
    ProcessUtility_hook = process_utility;
    needs_hook_before = needs_fmgr_hook;
    needs_fmgr_hook = needs_hook;
    hook_before = fmgr_hook;
    fmgr_hook = enter_and_leave;
    startup_before = shmem_startup_hook;
    shmem_startup_hook = start_shared;
    request_before = shmem_request_hook;
    shmem_request_hook = request_shared;
    fault.refresh = refresh;
}

extern "C" {

PG_FUNCTION_INFO_V1(fault_arm);
Datum fault_arm(PG_FUNCTION_ARGS) {
    fault.kind = kind_of(PG_GETARG_TEXT_PP(0));
    fault.at = PG_GETARG_INT64(1);
    fault.seen = 0;
    fault.fired = false;
    fault.depth = 0;
    PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(fault_disarm);
Datum fault_disarm(PG_FUNCTION_ARGS) {
    fault.kind = Fault::kNone;
    return fired_and_seen(fcinfo, fault.fired, fault.seen);
}

PG_FUNCTION_INFO_V1(fault_arm_projector);
Datum fault_arm_projector(PG_FUNCTION_ARGS) {
    const Fault::Kind kind = kind_of(PG_GETARG_TEXT_PP(0));
    SpinLockAcquire(&shared->lock);
    ++shared->generation;
    shared->kind = kind;
    shared->at = PG_GETARG_INT64(1);
    shared->seen = 0;
    shared->fired = false;
    SpinLockRelease(&shared->lock);
    PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(fault_disarm_projector);
Datum fault_disarm_projector(PG_FUNCTION_ARGS) {
    SpinLockAcquire(&shared->lock);
    const bool fired = shared->fired;
    const long seen = shared->seen;
    ++shared->generation;
    shared->kind = Fault::kNone;
    SpinLockRelease(&shared->lock);
    return fired_and_seen(fcinfo, fired, seen);
}

PG_FUNCTION_INFO_V1(fault_forget);
Datum fault_forget(PG_FUNCTION_ARGS) {
    (void)fcinfo;
    InvalidateSystemCaches();
    PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(fault_memory);
Datum fault_memory(PG_FUNCTION_ARGS) {
    long total = 0, resident = 0, shared_pages = 0;
    if (FILE* statm = AllocateFile("/proc/self/statm", "r")) {
        if (fscanf(statm, "%ld %ld %ld", &total, &resident, &shared_pages) != 3) resident = 0;
        FreeFile(statm);
    }
    TupleDesc row_type;
    if (get_call_result_type(fcinfo, nullptr, &row_type) != TYPEFUNC_COMPOSITE) elog(ERROR, "not a row");
    Datum values[] = {Int64GetDatum((resident - shared_pages) * sysconf(_SC_PAGESIZE)),
                      Int64GetDatum(static_cast<int64>(MemoryContextMemAllocated(TopMemoryContext, true)))};
    bool isnull[] = {false, false};
    return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(row_type), values, isnull));
}
}
