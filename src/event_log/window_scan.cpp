// Merges index scans over the segments. This file is written wholly in P.
#include "event_log/window_scan.hpp"

#include <algorithm>
#include <limits>

#include "event_log/segment_check.hpp"
#include "event_log/segment_indexes.hpp"
#include "postgres/catalog.hpp"
#include "postgres/server_versions.hpp"

#include "postgres/pg.hpp"

namespace event_log {
namespace {

// A window may have one row, or millions.
constexpr int kFirstAhead = 1;
constexpr int kGrowth = 8;
constexpr int kMostAhead = 2048;  // rows; a call stores 10,000 on some hundred pages

void open_segment(SegmentScan& segment, Oid relation, Snapshot snapshot) {
    segment.table = table_open(relation, NoLock);
    check_columns(segment.table);
    segment.index = open_valid_index(segment.table, is_xid_index, AccessShareLock);
    if (segment.index == nullptr) report_no_xid_index(segment.table);
    segment.scan = postgres::begin_index_scan(segment.table, segment.index, snapshot, 3);
    segment.row = MakeSingleTupleTableSlot(RelationGetDescr(segment.table), &TTSOpsHeapTuple);
    ReadAhead& ahead = segment.ahead;
    ahead.rows = static_cast<HeapTupleData*>(palloc(sizeof(HeapTupleData) * kMostAhead));
    ahead.places = static_cast<std::uint64_t*>(palloc(sizeof(std::uint64_t) * kMostAhead));
    ahead.most = kFirstAhead;
    ahead.fetched = table_slot_create(segment.table, nullptr);
    ahead.memory = AllocSetContextCreate(CurrentMemoryContext, "telemetry_cqrs rows", ALLOCSET_DEFAULT_SIZES);
}

// The place of a row in the table, then its number in the index.
std::uint64_t place_of(const ItemPointerData& tid, int number) {
    static_assert(kMostAhead <= 1 << 16);
    return std::uint64_t{ItemPointerGetBlockNumberNoCheck(&tid)} << 32 |
           std::uint64_t{ItemPointerGetOffsetNumberNoCheck(&tid)} << 16 | static_cast<std::uint64_t>(number);
}

ItemPointerData tid_of(std::uint64_t place) {
    ItemPointerData tid;
    ItemPointerSet(&tid, static_cast<BlockNumber>(place >> 32), static_cast<OffsetNumber>(place >> 16));
    return tid;
}

int number_of(std::uint64_t place) {
    return static_cast<std::uint16_t>(place);
}

void copy_row(ReadAhead& ahead, HeapTupleData& copy) {
    const HeapTuple row = ExecFetchSlotHeapTuple(ahead.fetched, false, nullptr);
    copy = *row;
    copy.t_data = static_cast<HeapTupleHeader>(MemoryContextAlloc(ahead.memory, row->t_len));
    memcpy(copy.t_data, row->t_data, row->t_len);
}

// Takes the next entries of the index, and fetches their rows. False: there are no more entries.
bool read_ahead(SegmentScan& segment) {
    ReadAhead& ahead = segment.ahead;
    MemoryContextReset(ahead.memory);
    ahead.count = ahead.next = 0;
    while (!ahead.is_last && ahead.count < ahead.most) {
        const ItemPointer tid = index_getnext_tid(segment.scan, ForwardScanDirection);
        ahead.is_last = tid == nullptr;
        if (tid == nullptr) continue;
        ahead.places[ahead.count] = place_of(*tid, ahead.count);
        ++ahead.count;
    }
    ahead.most = Min(ahead.most * kGrowth, kMostAhead);
    // Rows that one session has appended lie in the order of the index.
    if (!std::is_sorted(ahead.places, ahead.places + ahead.count)) std::sort(ahead.places, ahead.places + ahead.count);
    for (int i = 0; i < ahead.count; ++i) {
        ItemPointerData tid = tid_of(ahead.places[i]);
        HeapTupleData& row = ahead.rows[number_of(ahead.places[i])];
        row.t_data = nullptr;
        bool has_further_version = false;
        if (!table_index_fetch_tuple(segment.scan->xs_heapfetch, &tid, segment.scan->xs_snapshot, ahead.fetched,
                                     &has_further_version, nullptr))
            continue;
        pgstat_count_heap_fetch(segment.index);
        copy_row(ahead, row);
    }
    ExecClearTuple(ahead.fetched);
    return ahead.count > 0;
}

void next_row(SegmentScan& segment) {
    ReadAhead& ahead = segment.ahead;
    ExecClearTuple(segment.row);
    do {
        while (ahead.next < ahead.count && ahead.rows[ahead.next].t_data == nullptr) ++ahead.next;
        if (ahead.next < ahead.count) break;
        CHECK_FOR_INTERRUPTS();
    } while (read_ahead(segment));
    if (ahead.next == ahead.count) return;
    ExecStoreHeapTuple(&ahead.rows[ahead.next++], segment.row, false);
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
    segment.ahead.count = segment.ahead.next = 0;
    segment.ahead.is_last = false;
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
        ExecDropSingleTupleTableSlot(segment.ahead.fetched);
        MemoryContextDelete(segment.ahead.memory);
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
