// Updating and inserting rows. This file is written wholly in P.
#include "postgres/keyed_table.hpp"

#include "postgres/catalog.hpp"
#include "postgres/server_versions.hpp"

#include "postgres/pg.hpp"

namespace postgres {
namespace {

// Sets the primary key apart from the other indexes, which the executor's code keeps up.
void set_key_apart(KeyedTable& table) {
    const RelationPtr indexes = table.result->ri_IndexRelationDescs;
    IndexInfo** infos = table.result->ri_IndexRelationInfo;
    const int last = table.result->ri_NumIndices - 1;
    for (int i = 0; i < last; ++i) {
        if (RelationGetRelid(indexes[i]) != RelationGetRelid(table.key_index)) continue;
        const Relation key = indexes[i];
        IndexInfo* const info = infos[i];
        indexes[i] = indexes[last];
        infos[i] = infos[last];
        indexes[last] = key;
        infos[last] = info;
    }
    table.key_info = infos[last];
}

// A new version of a row has its key already: looking for another row with that key would visit every version that somebody's
// old snapshot keeps alive.
void enter_key(KeyedTable& table, bool is_new_version) {
    Datum values[INDEX_MAX_KEYS];
    bool nulls[INDEX_MAX_KEYS];
    FormIndexDatum(table.key_info, table.written, table.executor, values, nulls);
    index_insert(table.key_index, values, nulls, &table.written->tts_tid, table.table,
                 is_new_version ? UNIQUE_CHECK_NO : UNIQUE_CHECK_YES, is_new_version, table.key_info);
}

// Enters the row just stored into the indexes that need it. The primary key is a B-tree and summarizes nothing.
void maintain_indexes(KeyedTable& table, bool is_new_version, IndexesToUpdate needed) {
    if (needed == IndexesToUpdate::kNone) return;
    if (needed == IndexesToUpdate::kAll) enter_key(table, is_new_version);
    if (table.result->ri_NumIndices > 1) {
        --table.result->ri_NumIndices;
        insert_index_entries(table.result, table.written, table.executor, is_new_version, needed);
        ++table.result->ri_NumIndices;
    }
    ResetPerTupleExprContext(table.executor);
}

constexpr int kSmallTable = 64;  // pages; what is smaller is left as it is

// Somebody's snapshot kept old versions, and the table grew; rows that are updated in place stay where they are now, at the
// end, and vacuum cannot give the empty pages before them back. A page nearer to the beginning with room for a row, if the
// table as vacuum saw it last holds less than one row a page.
BlockNumber page_to_go_back_to(Relation table, BlockNumber now) {
    const Form_pg_class facts = table->rd_rel;
    if (facts->relpages < kSmallTable || facts->reltuples < 0 || facts->reltuples >= static_cast<float4>(facts->relpages))
        return InvalidBlockNumber;
    const BlockNumber page = GetPageWithFreeSpace(table, BLCKSZ * 3 / 4);
    return page != InvalidBlockNumber && page < now / 2 ? page : InvalidBlockNumber;
}

}  // namespace

void open_table(KeyedTable& table, const OwnTable& own, Snapshot snapshot) {
    open_lookup(table, require_relation(own.name), own.columns.count, snapshot, RowExclusiveLock, own.keys);
    refuse_native_obstacle(table.table, own);
    table.written = MakeSingleTupleTableSlot(RelationGetDescr(table.table), &TTSOpsVirtual);
    table.executor = CreateExecutorState();
    table.result = makeNode(ResultRelInfo);
    InitResultRelInfo(table.result, table.table, 0, nullptr, 0);
    ExecOpenIndices(table.result, false);
    set_key_apart(table);
}

void close_table(KeyedTable& table) {
    ExecCloseIndices(table.result);
    FreeExecutorState(table.executor);
    ExecDropSingleTupleTableSlot(table.written);
    close_lookup(table);
}

void copy_found_row(KeyedTable& table) {
    const auto columns = static_cast<std::size_t>(RelationGetDescr(table.table)->natts);
    ExecClearTuple(table.written);
    memcpy(table.written->tts_values, table.found->tts_values, sizeof(Datum) * columns);
    memcpy(table.written->tts_isnull, table.found->tts_isnull, sizeof(bool) * columns);
}

void start_row(KeyedTable& table) {
    ExecClearTuple(table.written);
    memset(table.written->tts_isnull, true, static_cast<std::size_t>(RelationGetDescr(table.table)->natts));
}

void update_row(KeyedTable& table) {
    ItemPointerData where = table.found->tts_tid;
    const BlockNumber page = page_to_go_back_to(table.table, ItemPointerGetBlockNumber(&where));
    if (page != InvalidBlockNumber) {
        simple_table_tuple_delete(table.table, &where, table.snapshot);
        RelationSetTargetBlock(table.table, page);
        return insert_row(table);
    }
    ExecStoreVirtualTuple(table.written);
    maintain_indexes(table, true, update_tuple(table.table, &where, table.written, table.snapshot));
}

void insert_row(KeyedTable& table) {
    ExecStoreVirtualTuple(table.written);
    simple_table_tuple_insert(table.table, table.written);
    maintain_indexes(table, false, IndexesToUpdate::kAll);
}

}  // namespace postgres
