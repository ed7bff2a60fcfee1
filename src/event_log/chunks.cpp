// Each chunk goes through three steps: probe, insert the rows, enter their fingerprints. The index by transaction comes last.
// This file is written wholly in P.
#include "event_log/chunks.hpp"

#include <algorithm>

#include "event_log/btree_leaves.hpp"
#include "event_log/segment_appender.hpp"
#include "postgres/injection_point.hpp"

#include "postgres/pg.hpp"

namespace event_log {
namespace {

constexpr int kLongestLookSkip = 64;

// The leaves of the indexes that a call looks into and fills.
struct CallLeaves {
    BtreeLeaves fingerprints;  // of the index that probes use
    BtreeLeaves* xids;         // of each index by transaction
    int looks_to_skip;         // probes before the next look at a leaf: the last looks have found nothing absent
    int last_skip;
    bool last_look_was_vain;
};

void open_call_leaves(CallLeaves& leaves, const SegmentAppender& appender) {
    const IndexSet& fingerprints = appender.indexes.fingerprints;
    const IndexSet& xids = appender.indexes.xids;
    open_leaves(leaves.fingerprints, appender.table, fingerprints.indexes[appender.indexes.probed_number], LeafOrder::kUuid);
    leaves.xids = static_cast<BtreeLeaves*>(palloc(sizeof(BtreeLeaves) * static_cast<Size>(xids.count)));
    for (int i = 0; i < xids.count; ++i) open_leaves(leaves.xids[i], appender.table, xids.indexes[i], LeafOrder::kXid8AndInt8);
    leaves.looks_to_skip = 0;
    leaves.last_skip = 0;
    leaves.last_look_was_vain = false;
}

LeafKey fingerprint_key(const Candidate& candidate) {
    LeafKey key;
    static_assert(sizeof key == sizeof candidate.fingerprint);
    memcpy(key.bytes, candidate.fingerprint.bytes.data(), sizeof key);
    return key;
}

LeafKey xid_key(const SegmentAppender& appender, const Candidate& candidate) {
    LeafKey key;
    const uint64 xid = U64FromFullTransactionId(appender.xid);
    memcpy(key.bytes, &xid, sizeof xid);
    memcpy(key.bytes + sizeof xid, &candidate.event_id.value, sizeof candidate.event_id.value);
    return key;
}

// Counts the identities, from the first one on, that a look at one leaf finds to be absent. Where repeats follow each other,
// looks are in vain, and become rare.
int count_absent_identities(CallLeaves& leaves, const LeafKey* keys, int count) {
    if (count == 0) return 0;
    if (leaves.looks_to_skip > 0) {
        --leaves.looks_to_skip;
        return 0;
    }
    const int absent = count_absent(leaves.fingerprints, keys, count);
    if (absent > 0) {
        leaves.last_skip = 0;
    } else if (leaves.last_look_was_vain) {
        leaves.last_skip = std::min(std::max(2 * leaves.last_skip, 1), kLongestLookSkip);
        leaves.looks_to_skip = leaves.last_skip;
    }
    leaves.last_look_was_vain = absent == 0;
    return absent;
}

// Probes the leaders in [first, last), and fills slots with the events that the new ones become. Returns the number of these.
int probe_chunk(SegmentAppender& appender, CallLeaves& leaves, Candidate** first, Candidate** last, Candidate** fresh) {
    LeafKey keys[kChunkRows];
    int identities = 0;  // leaders without one come last
    for (Candidate** each = first; each < last && (*each)->has_identity; ++each) keys[identities++] = fingerprint_key(**each);
    int count = 0;
    int absent_end = 0;  // the leaders before this one are known to be absent, as far as they are not decided
    for (int i = 0; first + i < last; ++i) {
        Candidate& each = *first[i];
        if (i >= absent_end && i < identities) absent_end = i + count_absent_identities(leaves, keys + i, identities - i);
        if (i >= absent_end && probe_identity(appender, each)) continue;
        if (each.is_only_looked_up) {
            answer_absent(appender, each);
            continue;
        }
        fill_row(appender, count, each);
        fresh[count++] = &each;
    }
    return count;
}

// Enters stored rows, in the order of their fingerprints, into the indexes except the one by transaction. With one index there
// is one order in which rows meet their rivals. With more, each row goes into all of them before the next one.
void enter_rows(SegmentAppender& appender, CallLeaves& leaves, Candidate** rows, int count) {
    if (appender.indexes.fingerprints.count > 1 || appender.indexes.further != nullptr) {
        for (int i = 0; i < count; ++i) {
            insert_fingerprint(appender, *rows[i]);
            insert_further(appender.indexes, appender.rows[i]);
        }
        return;
    }
    LeafEntry entries[kChunkRows];
    int identities = 0;
    while (identities < count && rows[identities]->has_identity) {
        entries[identities] = {fingerprint_key(*rows[identities]), rows[identities]->tid};
        ++identities;
    }
    for (int i = 0; i < count;) {
        const int inserted = i < identities ? insert_on_leaf(leaves.fingerprints, entries + i, identities - i) : 0;
        if (inserted == 0) insert_fingerprint(appender, *rows[i]);
        i += std::max(inserted, 1);
    }
}

void store_chunk(SegmentAppender& appender, CallLeaves& leaves, Candidate** first, Candidate** last) {
    Candidate* fresh[kChunkRows];
    const int count = probe_chunk(appender, leaves, first, last, fresh);
    if (count == 0) return;
    TELEMETRY_INJECTION_POINT_IN_P("probed");
    table_multi_insert(appender.table, appender.rows, count, appender.command, 0, nullptr);
    for (int i = 0; i < count; ++i) fresh[i]->tid = appender.rows[i]->tts_tid;
    enter_rows(appender, leaves, fresh, count);
    for (int i = 0; i < count; ++i) accept(appender, *fresh[i]);
    forget_rows(appender, count);
}

// Enters the next stored rows, at most kChunkRows, into the indexes by transaction. `at` is the first candidate to look at.
// Returns the candidate after the last one.
std::uint32_t enter_xids(SegmentAppender& appender, CallLeaves& leaves, Candidate* candidates, std::uint32_t count,
                         std::uint32_t at) {
    const Candidate* stored[kChunkRows];
    LeafEntry entries[kChunkRows];
    int rows = 0;
    for (; at < count && rows < kChunkRows; ++at) {
        if (!ItemPointerIsValid(&candidates[at].tid)) continue;
        stored[rows] = &candidates[at];
        entries[rows++] = {xid_key(appender, candidates[at]), candidates[at].tid};
    }
    for (int index = 0; index < appender.indexes.xids.count; ++index) {
        for (int i = 0; i < rows;) {
            const int inserted = insert_on_leaf(leaves.xids[index], entries + i, rows - i);
            if (inserted == 0) insert_xid(appender, index, *stored[i]);
            i += std::max(inserted, 1);
        }
    }
    return at;
}

}  // namespace

void store_chunks(Candidate** leaders, std::uint32_t leader_count, Candidate* candidates, std::uint32_t count,
                  const Stamp& stamp, const runtime::Installed& relations, bool* waits_for_rival) {
    SegmentAppender appender;
    open_appender(appender, relations, stamp, waits_for_rival);
    CallLeaves leaves;
    open_call_leaves(leaves, appender);
    for (std::uint32_t at = 0; at < leader_count; at += kChunkRows) {
        CHECK_FOR_INTERRUPTS();
        store_chunk(appender, leaves, leaders + at, leaders + std::min<std::uint32_t>(at + kChunkRows, leader_count));
    }
    // In the order of event ids, each entry is the greatest of this transaction so far.
    for (std::uint32_t at = 0; at < count;) {
        CHECK_FOR_INTERRUPTS();
        at = enter_xids(appender, leaves, candidates, count, at);
    }
    TELEMETRY_INJECTION_POINT_IN_P("rows_placed");
    note_blocks(appender, candidates, count);
    close_appender(appender);
}

}  // namespace event_log
