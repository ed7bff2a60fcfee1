// The access method "telemetry_readings". This file is written wholly in P.
#include "reading_index/layout.hpp"
#include "reading_index/metapage.hpp"
#include "reading_index/note.hpp"
#include "reading_index/scan.hpp"
#include "reading_index/settle.hpp"
#include "reading_index/validate.hpp"

#include "postgres/pg.hpp"

namespace reading_index {
namespace {

// An empty index is a right one, because each block is in the tail. So this takes no time, and settlers do the work later.
IndexBuildResult* build(Relation table, Relation index, IndexInfo* info) {
    check_columns(table, index, *info);
    write_metapage(index, MAIN_FORKNUM);
    auto* result = static_cast<IndexBuildResult*>(palloc0(sizeof(IndexBuildResult)));
    result->heap_tuples = -1;  // not counted, so the server keeps its estimate
    result->index_tuples = -1;
    return result;
}

void build_empty(Relation index) {
    write_metapage(index, INIT_FORKNUM);
}

IndexBulkDeleteResult* result_of(const IndexVacuumInfo& info, IndexBulkDeleteResult* result) {
    if (result == nullptr) result = static_cast<IndexBulkDeleteResult*>(palloc0(sizeof(IndexBulkDeleteResult)));
    result->num_pages = RelationGetNumberOfBlocks(info.index);
    result->estimated_count = true;
    result->num_index_tuples = info.num_heap_tuples;
    return result;
}

// An entry of a row that is gone does no harm, because the executor looks at each row again.
IndexBulkDeleteResult* bulk_delete(IndexVacuumInfo* info, IndexBulkDeleteResult* result, IndexBulkDeleteCallback, void*) {
    return result_of(*info, result);
}

IndexBulkDeleteResult* vacuum_cleanup(IndexVacuumInfo* info, IndexBulkDeleteResult* result) {
    if (info->analyze_only || !is_to_be_settled(info->index)) return result;
    Relation table = table_open(info->index->rd_index->indrelid, NoLock);
    settle_all(table, info->index);
    table_close(table, NoLock);
    return result_of(*info, result);
}

double blocks_read_whole(const IndexOptInfo& info) {
    if (info.hypothetical) return 0;
    Relation index = index_open(info.indexoid, NoLock);
    Meta meta;
    read_meta(index, meta);
    index_close(index, NoLock);
    return unsettled_blocks(meta, info.rel->pages);
}

// Beside what an ordinary index costs, this counts the blocks that a scan reads whole.
void estimate_cost(PlannerInfo* root, IndexPath* path, double loops, Cost* startup, Cost* total, Selectivity* selectivity,
                   double* correlation, double* pages) {
    GenericCosts costs;
    memset(&costs, 0, sizeof costs);
    genericcostestimate(root, path, loops, &costs);
    const RelOptInfo& table = *path->indexinfo->rel;
    const double rows_of_block = table.pages > 0 ? table.tuples / table.pages : 0;
    const double cost_of_block = seq_page_cost + rows_of_block * (cpu_tuple_cost + 2 * cpu_operator_cost);
    *startup = costs.indexStartupCost;
    *total = costs.indexTotalCost + blocks_read_whole(*path->indexinfo) * cost_of_block;
    *selectivity = costs.indexSelectivity;
    *correlation = 0;
    *pages = costs.numIndexPages;
}

// There are none, so each is refused.
bytea* options(Datum values, bool refuses_unknown) {
    return static_cast<bytea*>(build_reloptions(values, refuses_unknown, RELOPT_KIND_LOCAL, 0, nullptr, 0));
}

IndexScanDesc begin_scan(Relation index, int keys, int orders) {
    return RelationGetIndexScan(index, keys, orders);
}

void rescan(IndexScanDesc scan, ScanKey keys, int count, ScanKey, int) {
    if (keys != nullptr && count > 0) memmove(scan->keyData, keys, static_cast<Size>(count) * sizeof(ScanKeyData));
}

void end_scan(IndexScanDesc) {}

}  // namespace
}  // namespace reading_index

extern "C" {
PG_FUNCTION_INFO_V1(telemetry_handle_reading_index);
PGDLLEXPORT Datum telemetry_handle_reading_index(PG_FUNCTION_ARGS);
}

Datum telemetry_handle_reading_index(PG_FUNCTION_ARGS) {
    (void)fcinfo;
    IndexAmRoutine* method = makeNode(IndexAmRoutine);
    method->amstrategies = BTMaxStrategyNumber;
    method->amcanmulticol = true;
    method->amkeytype = InvalidOid;
    method->ambuild = reading_index::build;
    method->ambuildempty = reading_index::build_empty;
    method->aminsert = reading_index::insert;
    method->ambulkdelete = reading_index::bulk_delete;
    method->amvacuumcleanup = reading_index::vacuum_cleanup;
    method->amcostestimate = reading_index::estimate_cost;
    method->amoptions = reading_index::options;
    method->amvalidate = reading_index::validate;
    method->ambeginscan = reading_index::begin_scan;
    method->amrescan = reading_index::rescan;
    method->amgetbitmap = reading_index::get_bitmap;
    method->amendscan = reading_index::end_scan;
    PG_RETURN_POINTER(method);
}
