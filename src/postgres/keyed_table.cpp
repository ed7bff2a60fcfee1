// Updates and inserts rows of a keyed table. This file is written wholly in P.
#include "postgres/keyed_table.hpp"

#include "postgres/catalog.hpp"
#include "postgres/server_versions.hpp"

#include "postgres/pg.hpp"

namespace postgres {
namespace {

// Moves the primary key after the other indexes: this file maintains the primary key, and the executor maintains the others.
void set_key_apart(KeyedTable& table) {
    const RelationPtr indexes = table.result_relation->ri_IndexRelationDescs;
    IndexInfo** index_infos = table.result_relation->ri_IndexRelationInfo;
    const int last = table.result_relation->ri_NumIndices - 1;
    for (int i = 0; i < last; ++i) {
        if (RelationGetRelid(indexes[i]) != RelationGetRelid(table.key_index)) continue;
        const Relation key = indexes[i];
        IndexInfo* const index_info = index_infos[i];
        indexes[i] = indexes[last];
        index_infos[i] = index_infos[last];
        indexes[last] = key;
        index_infos[last] = index_info;
    }
    table.key_index_info = index_infos[last];
}

// Enters the row into the index of the primary key. A new version of a row has its key already, so it is not checked for
// uniqueness: the check would visit every version that an old snapshot keeps alive.
void enter_key(KeyedTable& table, TupleTableSlot* row, bool is_new_version) {
    Datum values[INDEX_MAX_KEYS];
    bool nulls[INDEX_MAX_KEYS];
    FormIndexDatum(table.key_index_info, row, table.executor, values, nulls);
    index_insert(table.key_index, values, nulls, &row->tts_tid, table.relation,
                 is_new_version ? UNIQUE_CHECK_NO : UNIQUE_CHECK_YES, is_new_version, table.key_index_info);
}

// Enters the row that was just stored into the indexes that need it. The primary key is a B-tree, and so no summarizing index.
void maintain_indexes(KeyedTable& table, TupleTableSlot* row, bool is_new_version, IndexesToUpdate needed) {
    if (needed == IndexesToUpdate::kNone) return;
    if (needed == IndexesToUpdate::kAll) enter_key(table, row, is_new_version);
    if (table.result_relation->ri_NumIndices > 1) {
        --table.result_relation->ri_NumIndices;
        insert_index_entries(table.result_relation, row, table.executor, is_new_version, needed);
        ++table.result_relation->ri_NumIndices;
    }
    ResetPerTupleExprContext(table.executor);
}

constexpr int kMostNewRows = 256;

// Calls `body` in the memory context of the chunk.
template <typename Body>
auto in_memory_of(void* chunk, Body&& body) {
    const MemoryContext caller = MemoryContextSwitchTo(GetMemoryChunkContext(chunk));
    const auto result = body();
    MemoryContextSwitchTo(caller);
    return result;
}

void store_row(KeyedTable& table) {
    simple_table_tuple_insert(table.relation, table.written);
    maintain_indexes(table, table.written, false, IndexesToUpdate::kAll);
}

void store_new_rows(KeyedTable& table) {
    if (table.new_row_count == 0) return;
    table_multi_insert(table.relation, table.new_rows, table.new_row_count, GetCurrentCommandId(true), 0, nullptr);
    for (int i = 0; i < table.new_row_count; ++i) {
        maintain_indexes(table, table.new_rows[i], false, IndexesToUpdate::kAll);
        ExecClearTuple(table.new_rows[i]);
    }
    table.new_row_count = 0;
}

constexpr int kSmallTable = 64;  // pages; a smaller table is left as it is

// Finds a page nearer to the beginning that has room for the row. InvalidBlockNumber: the row stays near its current page.
//
// While a session holds an old snapshot, the table grows by the versions that this snapshot keeps. Afterwards rows that are
// updated in place stay at the end, and vacuum cannot give back the empty pages before them. So rows move if the table held
// less than one row a page when vacuum last saw it.
BlockNumber page_to_go_back_to(Relation table, BlockNumber current_page) {
    const Form_pg_class statistics = table->rd_rel;
    if (statistics->relpages < kSmallTable || statistics->reltuples < 0 ||
        statistics->reltuples >= static_cast<float4>(statistics->relpages))
        return InvalidBlockNumber;
    const BlockNumber page = GetPageWithFreeSpace(table, BLCKSZ * 3 / 4);
    return page != InvalidBlockNumber && page < current_page / 2 ? page : InvalidBlockNumber;
}

}  // namespace

void open_table(KeyedTable& table, const OwnTable& own, Snapshot snapshot) {
    open_lookup(table, require_relation(own.name), own.shape.column_count, snapshot, RowExclusiveLock, own.key_column_count);
    refuse_native_obstacle(table.relation, own);
    table.written = MakeSingleTupleTableSlot(RelationGetDescr(table.relation), &TTSOpsVirtual);
    table.executor = CreateExecutorState();
    table.result_relation = makeNode(ResultRelInfo);
    InitResultRelInfo(table.result_relation, table.relation, 0, nullptr, 0);
    ExecOpenIndices(table.result_relation, false);
    set_key_apart(table);
    table.new_rows = nullptr;
    table.new_row_count = 0;
}

void close_table(KeyedTable& table) {
    store_new_rows(table);
    for (int i = 0; table.new_rows != nullptr && i < kMostNewRows && table.new_rows[i] != nullptr; ++i)
        ExecDropSingleTupleTableSlot(table.new_rows[i]);
    ExecCloseIndices(table.result_relation);
    FreeExecutorState(table.executor);
    ExecDropSingleTupleTableSlot(table.written);
    close_lookup(table);
}

void copy_found_row(KeyedTable& table) {
    const auto columns = static_cast<std::size_t>(RelationGetDescr(table.relation)->natts);
    ExecClearTuple(table.written);
    memcpy(table.written->tts_values, table.found->tts_values, sizeof(Datum) * columns);
    memcpy(table.written->tts_isnull, table.found->tts_isnull, sizeof(bool) * columns);
}

void start_row(KeyedTable& table) {
    ExecClearTuple(table.written);
    memset(table.written->tts_isnull, true, static_cast<std::size_t>(RelationGetDescr(table.relation)->natts));
}

void update_row(KeyedTable& table) {
    ItemPointerData tid = table.found->tts_tid;
    const BlockNumber page = page_to_go_back_to(table.relation, ItemPointerGetBlockNumber(&tid));
    if (page != InvalidBlockNumber) {
        simple_table_tuple_delete(table.relation, &tid, table.snapshot);
        RelationSetTargetBlock(table.relation, page);
        ExecStoreVirtualTuple(table.written);
        return store_row(table);
    }
    ExecStoreVirtualTuple(table.written);
    maintain_indexes(table, table.written, true, update_tuple(table.relation, &tid, table.written, table.snapshot));
}

void gather_new_rows(KeyedTable& table) {
    table.new_rows = static_cast<TupleTableSlot**>(palloc0(sizeof(TupleTableSlot*) * kMostNewRows));
}

void insert_row(KeyedTable& table) {
    ExecStoreVirtualTuple(table.written);
    if (table.new_rows == nullptr) return store_row(table);
    TupleTableSlot*& row = table.new_rows[table.new_row_count];
    if (row == nullptr) row = in_memory_of(table.new_rows, [&table] { return table_slot_create(table.relation, nullptr); });
    ExecCopySlot(row, table.written);
    if (++table.new_row_count == kMostNewRows) store_new_rows(table);
}

}  // namespace postgres
