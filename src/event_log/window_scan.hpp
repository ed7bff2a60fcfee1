// Reads the rows of a window from the segments, in order. This file is written wholly in P. After an error the transaction's
// abort frees everything.
#pragma once

#include <cstdint>
#include <optional>

#include "event_log/event_columns.hpp"
#include "model/snapshot.hpp"
#include "postgres/pg.hpp"

namespace event_log {

// One step of a window: the transactions in [first, last). A step that is no range is a single transaction, limited to its
// events in (after, until].
struct ScanStep {
    std::uint64_t first, last;
    std::int64_t after, until;
    bool is_range;  // the step leaves out ScanPlan::skipped
};

// A window in plain arrays, which outlive the scan.
struct ScanPlan {
    const ScanStep* steps;
    int step_count;
    const std::uint64_t* skipped;  // ascending
    int skipped_count;
    std::int32_t epoch;  // the window leaves out rows of other epochs
};

// The rows that come next in a segment. The table has the rows of a call by fingerprint, and the index has them by event id. So
// the scan takes many entries of the index, fetches their rows page by page, and keeps copies.
struct ReadAhead {
    std::uint64_t* places;  // of the entries; ascending while their rows are fetched
    HeapTupleData* rows;    // as the index has them; t_data is null where the snapshot does not show the row
    int count, next;        // how many there are, and which comes next
    int most;               // so many are taken the next time
    bool is_last;           // the index has no further entry of the step
    TupleTableSlot* fetched;
    MemoryContext memory;  // of the copies
};

struct SegmentScan {
    Relation table;
    Relation index;
    IndexScanDesc scan;
    ReadAhead ahead;
    TupleTableSlot* row;  // empty: no further row in this step
    std::uint64_t xid;
    std::int64_t event_id;
};

struct WindowScan {
    const ScanPlan* plan;
    SegmentScan* segments;
    int segment_count;
    int step;              // the next one to begin
    SegmentScan* current;  // has the row on which the scan stands; null: after the last row
    MemoryContext memory;
};

inline Datum value_of(const WindowScan& scan, EventColumn column) {
    return scan.current->row->tts_values[column];
}
inline bool is_null(const WindowScan& scan, EventColumn column) {
    return scan.current->row->tts_isnull[column];
}
inline std::optional<double> number_of(const WindowScan& scan, EventColumn column) {
    if (is_null(scan, column)) return std::nullopt;
    return DatumGetFloat8(value_of(scan, column));
}

// Opens every segment and goes to the first row that `snapshot` shows. TC202: a segment is not as the extension made it.
void open_window(WindowScan& scan, const ScanPlan& plan, Snapshot snapshot);
void close_window(WindowScan& scan);

// Goes on to the next row, by steps, then by xid and event id. The scan also stops at rows that are not part of the window.
void advance(WindowScan& scan);

// Was the row's transaction in progress at the far end? A slice never ends at such a row.
bool is_of_skipped_transaction(const WindowScan& scan);
bool is_of_other_epoch(const WindowScan& scan);
inline bool is_part_of_window(const WindowScan& scan) {
    return !is_of_other_epoch(scan) && !is_of_skipped_transaction(scan);
}

}  // namespace event_log
