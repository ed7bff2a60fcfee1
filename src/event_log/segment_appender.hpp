// One segment of the log, opened for appending. This file is written wholly in P.
#pragma once

#include "event_log/candidate.hpp"
#include "event_log/segment_indexes.hpp"
#include "runtime/installed.hpp"

#include "postgres/pg.hpp"

namespace event_log {

constexpr int kChunkRows = 64;  // rows of one multi-insert: their index pages stay in the cache between probe and insert

struct SegmentAppender {
    Relation table;
    SegmentIndexes indexes;
    IndexScanDesc* probes;  // one for each index on fingerprints; null: not begun
    SnapshotData dirty;     // the probes' snapshot; tells of the rival they met
    TupleTableSlot* probed_row;
    TupleTableSlot* rows[kChunkRows];
    int row_count;            // slots made so far
    CommandId command;        // of the rows to be stored
    CommandId command_begun;  // of the first row that the running command may have stored
    FullTransactionId xid;
    Datum event_type;
    const Stamp* stamp;
    bool* waits_for_rival;  // true while this session may wait for a rival's transaction, so after an error that ends the wait
};

// Takes RowExclusiveLock on the segment and its indexes. TC202 where the segment is not as we made it.
// `waits_for_rival` belongs to a caller outside the guard.
void open_appender(SegmentAppender& appender, const runtime::Installed& relations, const Stamp& stamp, bool* waits_for_rival);
void close_appender(SegmentAppender& appender);

// The slot number `index`, filled with what `candidate` becomes as an event.
TupleTableSlot* fill_row(SegmentAppender& appender, int index, const Candidate& candidate);

// Looks for the candidate's identity and decides it if the identity is taken: true. Waits for a rival in flight first.
// A true collision of fingerprints moves the candidate on to its next salt. No page stays pinned.
bool probe_identity(SegmentAppender& appender, Candidate& candidate);

// Decides a candidate that is only looked up, and that the probe did not find.
void answer_absent(SegmentAppender& appender, Candidate& candidate);

// What the log answers for the row just stored.
void accept(const SegmentAppender& appender, Candidate& candidate);

// Enter the row just stored into the indexes; `insert_further` is that of segment_indexes.hpp.
void insert_fingerprint(SegmentAppender& appender, const Candidate& candidate);
void insert_xid(SegmentAppender& appender, const Candidate& candidate);

// Stores one candidate whatever its rivals do: by speculative insertion, so that no error comes out of a race.
void append_one(SegmentAppender& appender, Candidate& candidate);

}  // namespace event_log
