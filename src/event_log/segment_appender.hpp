// Appends rows to one segment of the log. This file is written wholly in P.
#pragma once

#include "event_log/candidate.hpp"
#include "event_log/segment_indexes.hpp"
#include "runtime/installed.hpp"

#include "postgres/pg.hpp"

namespace event_log {

// Rows of one multi-insert. They are few, so that their index pages stay in the cache between probe and insert.
constexpr int kChunkRows = 256;

struct SegmentAppender {
    Relation table;
    SegmentIndexes indexes;
    IndexScanDesc* probes;  // one for each index on fingerprints; null: not begun
    SnapshotData dirty;     // of the probes; after a probe it names the rival
    TupleTableSlot* probed_row;
    TupleTableSlot* rows[kChunkRows];
    int row_count;            // slots that exist by now
    MemoryContext values;     // of the texts and jsonb in the rows
    CommandId command;        // of the rows to be stored
    CommandId command_begun;  // the lowest one that a row of the running command can have
    FullTransactionId xid;
    Datum event_type;
    const Stamp* stamp;
    bool* waits_for_rival;  // true while this session may wait for a rival; it stays true when an error ends the wait
};

// Takes RowExclusiveLock on the segment and its indexes. TC202: the segment is not as the extension made it.
// `waits_for_rival` belongs to a caller outside the guard.
void open_appender(SegmentAppender& appender, const runtime::Installed& relations, const Stamp& stamp, bool* waits_for_rival);
void close_appender(SegmentAppender& appender);

// Fills slot number `index` with the event that `candidate` becomes, and returns the slot. Its values live until
// `forget_rows`.
TupleTableSlot* fill_row(SegmentAppender& appender, int index, const Candidate& candidate);
void forget_rows(SegmentAppender& appender, int count);

// Looks for the candidate's identity. True: the log has it, and the candidate is decided. The probe first waits for a rival in
// flight. If another identity has the same fingerprint, the candidate gets the fingerprint of the next salt. No page stays
// pinned.
bool probe_identity(SegmentAppender& appender, Candidate& candidate);

// Decides a candidate that is only looked up and that the probe has not found.
void answer_absent(SegmentAppender& appender, Candidate& candidate);

// Gives the candidate the answer for the row just stored.
void accept(const SegmentAppender& appender, Candidate& candidate);

// These enter the row just stored into the indexes. `insert_further` (segment_indexes.hpp) does the same for users' indexes.
void insert_fingerprint(SegmentAppender& appender, const Candidate& candidate);
// `number` says which index by transaction is meant.
void insert_xid(SegmentAppender& appender, int number, const Candidate& candidate);

// Notes the blocks of stored rows in the reading indexes. All rows are in their places, and their transaction has not ended. A
// candidate without a valid `tid` has no row.
void note_blocks(const SegmentAppender& appender, const Candidate* candidates, std::uint32_t count);

// Stores one candidate by speculative insertion, so that a race with a rival causes no error.
void append_one(SegmentAppender& appender, Candidate& candidate);

}  // namespace event_log
