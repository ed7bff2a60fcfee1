// Hides the differences between the versions of PostgreSQL from 15 to 18. No other file asks for the version of the server.
// This file is written wholly in P.
#pragma once

#include <type_traits>

#include "postgres/pg.hpp"

extern "C" {
#if PG_VERSION_NUM >= 160000
#include "nodes/miscnodes.h"
#include "utils/memutils_internal.h"
#endif
}

// --- the library ------------------------------------------------------------------------------------------------------

// The server reads this mark before it runs anything of the library. From 18 on pg_get_loaded_modules() shows name and version.
#if PG_VERSION_NUM >= 180000
#define TELEMETRY_MODULE_MAGIC(library_name, library_version) \
    PG_MODULE_MAGIC_EXT(.name = (library_name), .version = (library_version))
#else
#define TELEMETRY_MODULE_MAGIC(library_name, library_version) PG_MODULE_MAGIC
#endif

namespace postgres {

// --- values ------------------------------------------------------------------------------------------------------------

// Reads a text as double precision. False: the server's input function would raise an error.
inline bool double_or_flaw(const char* text, double& value) {
    auto* digits = const_cast<char*>(text);
#if PG_VERSION_NUM >= 160000
    ErrorSaveContext flaws{};
    flaws.type = T_ErrorSaveContext;
    value = float8in_internal(digits, nullptr, "double precision", text, reinterpret_cast<Node*>(&flaws));
    return !flaws.error_occurred;
#else
    bool has_flaw = false;
    value = float8in_internal_opt_error(digits, nullptr, "double precision", text, &has_flaw);
    return !has_flaw;
#endif
}

// Makes sense of the fields of a date and time. 0, or what is wrong (DTERR_*).
inline int decode_date_time(char** fields, int* types, int count, int* kind, struct pg_tm* parts, fsec_t* fraction, int* zone) {
#if PG_VERSION_NUM >= 160000
    DateTimeErrorExtra extra;
    return DecodeDateTime(fields, types, count, kind, parts, fraction, zone, &extra);
#else
    return DecodeDateTime(fields, types, count, kind, parts, fraction, zone);
#endif
}

// --- executing -----------------------------------------------------------------------------------------------------------

// What the hook at the start of the executor returns: nothing, or a bool.
using ExecutorStartResult = std::invoke_result_t<ExecutorStart_hook_type, QueryDesc*, int>;

// --- tables and indexes -----------------------------------------------------------------------------------------------

// Begins a scan for `keys` of the index's columns.
inline IndexScanDesc begin_index_scan(Relation table, Relation index, Snapshot snapshot, int keys) {
#if PG_VERSION_NUM >= 180000
    return index_beginscan(table, index, snapshot, nullptr, keys, 0);
#else
    return index_beginscan(table, index, snapshot, keys, 0);
#endif
}

// Goes down a btree to the leaf where `key` belongs, and returns the leaf locked for `access`. InvalidBuffer: the index is
// empty and `access` is BT_READ.
inline Buffer find_leaf(Relation table, Relation index, BTScanInsert key, int access) {
    Buffer leaf;
#if PG_VERSION_NUM >= 170000
    _bt_freestack(_bt_search(index, table, key, &leaf, access));
#elif PG_VERSION_NUM >= 160000
    _bt_freestack(_bt_search(index, table, key, &leaf, access, nullptr));
#else
    (void)table;
    _bt_freestack(_bt_search(index, key, &leaf, access, nullptr));
#endif
    return leaf;
}

// An access method calls this once a scan, for pg_stat_user_indexes and EXPLAIN.
inline void count_index_scan(IndexScanDesc scan) {
    pgstat_count_index_scan(scan->indexRelation);
#if PG_VERSION_NUM >= 180000
    if (scan->instrument != nullptr) ++scan->instrument->nsearches;
#endif
}

// InvalidOid: the table has no primary key that is checked at once.
inline Oid primary_key_index_of(Relation table) {
#if PG_VERSION_NUM >= 180000
    return RelationGetPrimaryKeyIndex(table, false);
#else
    return RelationGetPrimaryKeyIndex(table);
#endif
}

// Which indexes need an entry for the new version of a row. A heap-only version must be entered into summarizing indexes (BRIN)
// only, and these miss it when it is not entered there. Up to 15 an update of an indexed column is never heap-only.
enum class IndexesToUpdate { kNone, kSummarizing, kAll };

inline IndexesToUpdate update_tuple(Relation table, ItemPointer where, TupleTableSlot* row, Snapshot snapshot) {
#if PG_VERSION_NUM >= 160000
    TU_UpdateIndexes needed = TU_None;
    simple_table_tuple_update(table, where, row, snapshot, &needed);
    switch (needed) {
        case TU_None:
            return IndexesToUpdate::kNone;
        case TU_Summarizing:
            return IndexesToUpdate::kSummarizing;
        case TU_All:
            return IndexesToUpdate::kAll;
    }
    elog(ERROR, "unknown answer of simple_table_tuple_update: %d", static_cast<int>(needed));
#else
    bool all = false;
    simple_table_tuple_update(table, where, row, snapshot, &all);
    return all ? IndexesToUpdate::kAll : IndexesToUpdate::kNone;
#endif
}

// Enters a row into the indexes of `result`: into all of them, or into the summarizing ones only.
inline void insert_index_entries(ResultRelInfo* result, TupleTableSlot* row, EState* executor, bool is_update,
                                 IndexesToUpdate needed) {
#if PG_VERSION_NUM >= 160000
    list_free(
        ExecInsertIndexTuples(result, row, executor, is_update, false, nullptr, NIL, needed == IndexesToUpdate::kSummarizing));
#else
    Assert(needed == IndexesToUpdate::kAll);
    (void)needed;
    list_free(ExecInsertIndexTuples(result, row, executor, is_update, false, nullptr, NIL));
#endif
}

// --- rights -----------------------------------------------------------------------------------------------------------

inline bool may_use_schema(Oid role, Oid schema) {
#if PG_VERSION_NUM >= 160000
    return object_aclcheck(NamespaceRelationId, schema, role, ACL_USAGE) == ACLCHECK_OK;
#else
    return pg_namespace_aclcheck(schema, role, ACL_USAGE) == ACLCHECK_OK;
#endif
}

inline bool owns_relation(Oid role, Oid relation) {
#if PG_VERSION_NUM >= 160000
    return object_ownercheck(RelationRelationId, relation, role);
#else
    return pg_class_ownercheck(relation, role);
#endif
}

// --- transactions -----------------------------------------------------------------------------------------------------

// The number of this backend's transaction among its own. Every transaction has one, also one that writes nothing.
inline LocalTransactionId local_transaction_id() noexcept {
#if PG_VERSION_NUM >= 170000
    return MyProc->vxid.lxid;
#else
    return MyProc->lxid;
#endif
}

// The oldest transaction whose fate the commit log still has. The caller holds XactTruncationLock.
inline TransactionId oldest_known_transaction() noexcept {
#if PG_VERSION_NUM >= 170000
    return TransamVariables->oldestClogXid;
#else
    return ShmemVariableCache->oldestClogXid;
#endif
}

// The number of transactions that could have changed something and have ended since the server started. While it stays the
// same, every snapshot is the same, and so are the log and the extension. It is read without the lock and may be a moment old:
// the next poll sees what this one misses.
inline uint64 completed_transactions() noexcept {
#if PG_VERSION_NUM >= 170000
    return TransamVariables->xactCompletionCount;
#else
    return ShmemVariableCache->xactCompletionCount;
#endif
}

// The time at which transaction_timeout will end this session; infinity where it will not.
inline TimestampTz end_by_transaction_timeout() noexcept {
#if PG_VERSION_NUM >= 170000
    return get_timeout_active(TRANSACTION_TIMEOUT) ? get_timeout_finish_time(TRANSACTION_TIMEOUT) : DT_NOEND;
#else
    return DT_NOEND;
#endif
}

// From now on transaction_timeout ends no transaction of this process, whatever the configuration says.
inline void lift_transaction_timeout() {
#if PG_VERSION_NUM >= 170000
    SetConfigOption("transaction_timeout", "0", PGC_SUSET, PGC_S_OVERRIDE);
#endif
}

// --- processes and locks ----------------------------------------------------------------------------------------------

// The name of the setting that makes the server prefer parallel plans.
inline constexpr const char* kForcedParallelism =
#if PG_VERSION_NUM >= 160000
    "debug_parallel_query";
#else
    "force_parallel_mode";
#endif

// Returns the index of a process in ProcGlobal->allProcs.
inline uint32 number_of_process(const PGPROC* process) noexcept {
#if PG_VERSION_NUM >= 170000
    return static_cast<uint32>(GetNumberFromPGProc(process));
#else
    return static_cast<uint32>(process->pgprocno);
#endif
}

// Does this entry of ProcGlobal belong to a background worker? Workers of extensions, of parallel queries and of subscriptions
// count. The server's own helpers, autovacuum and the senders of replication do not.
inline bool is_background_worker(const PGPROC& process) noexcept {
    return process.procgloballist == &ProcGlobal->bgworkerFreeProcs;
}

// Takes a lock for the transaction if no other session has it and the lock table has room. It never waits, and raises no error.
inline bool try_lock(const LOCKTAG& tag, LOCKMODE mode) {
#if PG_VERSION_NUM >= 180000
    return LockAcquireExtended(&tag, mode, false, true, false, nullptr, false) != LOCKACQUIRE_NOT_AVAIL;
#else
    return LockAcquireExtended(&tag, mode, false, true, false, nullptr) != LOCKACQUIRE_NOT_AVAIL;
#endif
}

// Makes a set of events that lives as long as the process.
inline WaitEventSet* make_wait_event_set(MemoryContext memory, int event_count) {
#if PG_VERSION_NUM >= 170000
    const MemoryContext caller = MemoryContextSwitchTo(memory);
    WaitEventSet* events = CreateWaitEventSet(nullptr, event_count);
    MemoryContextSwitchTo(caller);
    return events;
#else
    return CreateWaitEventSet(memory, event_count);
#endif
}

// --- memory, for test extensions that replace an allocator of the server's --------------------------------------------------

// Returns what an allocator returns when it has no memory. Up to 16 the caller of the allocator raises the error; from 17 on
// the allocator does.
#if PG_VERSION_NUM >= 170000
inline void* no_memory(MemoryContext context, Size size, int flags) {
    return MemoryContextAllocationFailure(context, size, flags);
}
inline void* no_memory(void* chunk, Size size, int flags) {
    return MemoryContextAllocationFailure(GetMemoryChunkContext(chunk), size, flags);
}
#else
template <typename... Arguments>
void* no_memory(Arguments...) {
    return nullptr;
}
#endif

}  // namespace postgres
