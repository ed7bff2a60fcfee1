// The arithmetic of "what is new": a snapshot says which transactions were over, a position how far a consumer has come,
// a window what lies between a position and a later snapshot. event_log/README.md has the contract.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "model/identifiers.hpp"

namespace model {

struct Snapshot {
    Xid xmin;                      // every transaction below is over
    Xid xmax;                      // no transaction from here on is over
    std::vector<Xid> in_progress;  // ascending, each in [xmin, xmax): not over either

    bool covers(Xid xid) const noexcept;  // is this transaction over?
    friend bool operator==(const Snapshot&, const Snapshot&) = default;
};

// A transaction that is consumed up to and including one of its events.
struct Partial {
    Xid xid;
    EventId event_id;
    friend bool operator==(const Partial&, const Partial&) = default;
};

// A consumer has seen every event whose transaction `snapshot` covers and, of `partial->xid`, the events up to
// `partial->event_id`. The snapshot does not cover partial->xid, although that transaction is over: it is one of
// snapshot.in_progress or snapshot.xmax itself.
struct Position {
    Snapshot snapshot;
    std::optional<Partial> partial;

    friend bool operator==(const Position&, const Position&) = default;
};

// Where to look for events that are new since a position, in four steps; read in this order, inside a step by (xid, event_id):
//
//   1. resume      the events of resume->xid behind resume->event_id
//   2. stragglers  these transactions, one by one
//   3. range       transactions in [first, last)
//   4. until       the events of until->xid up to until->event_id; if resume is of the same transaction, steps 1 and 4 are
//                  one, bounded on both sides, and there is nothing else
//
// No transaction is in two steps. The one that was cut goes first, although it may be a straggler with others below it that
// have come to an end since: so a slice that ends anywhere leaves one transaction cut, never two. The order is still the
// promised one, as those others were in progress when it was over: they overlap in time.
struct Window {
    std::optional<Partial> resume;
    std::vector<Xid> stragglers;  // ascending, below `first`: in progress at the position and over now
    Xid first;
    Xid last;
    std::vector<Xid> in_progress;  // ascending, in [first, last): not over at the far end. Invisible to its snapshot, so that
                                   // only a reader under a later snapshot must skip them
    std::optional<Partial> until;  // only between two positions
};

// `far_end` is later than the position: it covers what from.snapshot covers and from.partial->xid.
Window window_between(const Position& from, const Snapshot& far_end);

// What a consumer read on its way from one position to a later one, in the same order: a batch, read again.
Window window_between(const Position& from, const Position& to);

// The position after everything in the window was consumed.
Position position_at(const Snapshot& far_end);

// The position after window_between(from, far_end) was consumed, in its order, up to and including `last_seen`.
// With `is_finished` no further event of that transaction is left, so that it is covered; otherwise it becomes partial
// (which is never wrong: the next window then finds nothing behind it).
Position position_after(const Position& from, const Snapshot& far_end, Partial last_seen, bool is_finished);

}  // namespace model
