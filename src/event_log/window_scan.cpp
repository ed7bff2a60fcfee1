// Merges index scans over the segments. This file is written wholly in P.
#include "event_log/window_scan.hpp"

#include <limits>

#include "event_log/segment_check.hpp"
#include "event_log/segment_indexes.hpp"
#include "postgres/catalog.hpp"
#include "postgres/server_versions.hpp"

#include "postgres/pg.hpp"

namespace event_log {
namespace {

void open_segment(SegmentScan& segment, Oid relation, Snapshot snapshot) {
    segment.table = table_open(relation, NoLock);
    check_columns(segment.table);
    segment.index = open_valid_index(segment.table, is_xid_index, AccessShareLock);
    if (segment.index == nullptr) report_no_xid_index(segment.table);
    segment.scan = postgres::begin_index_scan(segment.table, segment.index, snapshot, 3);
    segment.row = table_slot_create(segment.table, nullptr);
}

void next_row(SegmentScan& segment) {
    if (!index_getnext_slot(segment.scan, ForwardScanDirection, segment.row)) {
        ExecClearTuple(segment.row);
        return;
    }
    slot_getallattrs(segment.row);
    segment.xid = U64FromFullTransactionId(DatumGetFullTransactionId(segment.row->tts_values[kXid]));
    segment.event_id = DatumGetInt64(segment.row->tts_values[kEventId]);
}

Datum xid_datum(std::uint64_t xid) {
    return FullTransactionIdGetDatum(FullTransactionIdFromU64(xid));
}

void begin_step(SegmentScan& segment, const ScanStep& step) {
    ScanKeyData keys[3];
    int count = 0;
    if (!step.is_range) {
        ScanKeyInit(&keys[count++], 1, BTEqualStrategyNumber, F_XID8EQ, xid_datum(step.first));
        if (step.after != std::numeric_limits<std::int64_t>::min())
            ScanKeyInit(&keys[count++], 2, BTGreaterStrategyNumber, F_INT8GT, Int64GetDatum(step.after));
        if (step.until != std::numeric_limits<std::int64_t>::max())
            ScanKeyInit(&keys[count++], 2, BTLessEqualStrategyNumber, F_INT8LE, Int64GetDatum(step.until));
    } else {
        ScanKeyInit(&keys[count++], 1, BTGreaterEqualStrategyNumber, F_XID8GE, xid_datum(step.first));
        ScanKeyInit(&keys[count++], 1, BTLessStrategyNumber, F_XID8LT, xid_datum(step.last));
    }
    // The scan began with room for three keys. A repeated key changes nothing.
    while (count < 3) {
        keys[count] = keys[count - 1];
        ++count;
    }
    index_rescan(segment.scan, keys, 3, nullptr, 0);
    next_row(segment);
}

bool is_before(const SegmentScan& a, const SegmentScan& b) {
    return a.xid < b.xid || (a.xid == b.xid && a.event_id < b.event_id);
}

// Goes to the lowest row of the segments. While there is none, it begins the next step.
void choose(WindowScan& scan) {
    for (;;) {
        scan.current = nullptr;
        for (int i = 0; i < scan.segment_count; ++i) {
            SegmentScan& segment = scan.segments[i];
            if (!TupIsNull(segment.row) && (scan.current == nullptr || is_before(segment, *scan.current)))
                scan.current = &segment;
        }
        if (scan.current != nullptr || scan.step == scan.plan->step_count) return;
        CHECK_FOR_INTERRUPTS();
        const ScanStep& step = scan.plan->steps[scan.step++];
        for (int i = 0; i < scan.segment_count; ++i) begin_step(scan.segments[i], step);
    }
}

}  // namespace

void open_window(WindowScan& scan, const ScanPlan& plan, Snapshot snapshot) {
    scan.plan = &plan;
    scan.memory = CurrentMemoryContext;
    scan.step = 0;
    scan.current = nullptr;
    List* children = find_inheritance_children(postgres::require_relation("event"), AccessShareLock);
    scan.segment_count = list_length(children);
    scan.segments = static_cast<SegmentScan*>(palloc0(sizeof(SegmentScan) * static_cast<size_t>(scan.segment_count + 1)));
    for (int i = 0; i < scan.segment_count; ++i) open_segment(scan.segments[i], list_nth_oid(children, i), snapshot);
    list_free(children);
    choose(scan);
}

void close_window(WindowScan& scan) {
    for (int i = 0; i < scan.segment_count; ++i) {
        SegmentScan& segment = scan.segments[i];
        ExecDropSingleTupleTableSlot(segment.row);
        index_endscan(segment.scan);
        index_close(segment.index, NoLock);
        table_close(segment.table, NoLock);
    }
    pfree(scan.segments);
}

void advance(WindowScan& scan) {
    // An index scan allocates memory as it goes, so it must go on in the context in which it began.
    const MemoryContext caller = MemoryContextSwitchTo(scan.memory);
    next_row(*scan.current);
    if (scan.segment_count > 1 || TupIsNull(scan.current->row)) choose(scan);
    MemoryContextSwitchTo(caller);
}

bool is_of_other_epoch(const WindowScan& scan) {
    return DatumGetInt32(value_of(scan, kEpoch)) != scan.plan->epoch;
}

bool is_of_skipped_transaction(const WindowScan& scan) {
    if (!scan.plan->steps[scan.step - 1].is_range) return false;
    int low = 0, high = scan.plan->skipped_count;
    const std::uint64_t xid = scan.current->xid;
    while (low < high) {
        const int middle = (low + high) / 2;
        if (scan.plan->skipped[middle] < xid)
            low = middle + 1;
        else
            high = middle;
    }
    return low < scan.plan->skipped_count && scan.plan->skipped[low] == xid;
}

}  // namespace event_log
