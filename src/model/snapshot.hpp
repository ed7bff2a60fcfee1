// The arithmetic of "what is new". A snapshot says which transactions were over. A position says how far a consumer has come. A
// window is what lies between a position and a later snapshot. event_log/README.md has the contract.
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

// A transaction of which a consumer has read the events up to and including `event_id`.
struct Partial {
    Xid xid;
    EventId event_id;
    friend bool operator==(const Partial&, const Partial&) = default;
};

// A consumer has seen every event of the transactions that `snapshot` covers, and the events of `partial->xid` up to
// `partial->event_id`. That transaction is over, but the snapshot does not cover it: it is one of snapshot.in_progress, or it
// is snapshot.xmax.
struct Position {
    Snapshot snapshot;
    std::optional<Partial> partial;

    bool covers(Xid xid, EventId event_id) const noexcept;  // has the consumer seen this event?
    friend bool operator==(const Position&, const Position&) = default;
};

// Where a reader finds the events that are new since a position. It takes four steps in this order, and inside a step it reads
// by (xid, event_id):
//
//   1. resume      the events of resume->xid after resume->event_id
//   2. stragglers  these transactions, one by one
//   3. range       transactions in [first, last)
//   4. until       the events of until->xid up to until->event_id; if resume is of the same transaction, steps 1 and 4 are
//                  one, bounded on both sides, and there is nothing else
//
// No transaction is in two steps. The transaction that was cut goes first, although there may be stragglers below it that have
// ended since. So a slice that ends anywhere leaves one transaction cut, never two. The order is still the promised one: those
// stragglers were in progress when the cut transaction was over, so they overlap it in time.
struct Window {
    std::optional<Partial> resume;
    std::vector<Xid> stragglers;  // ascending, below `first`: in progress at the position and over at the far end
    Xid first;
    Xid last;
    std::vector<Xid> in_progress;  // ascending, in [first, last): not over at the far end. Its snapshot does not show them,
                                   // so that only a reader under a later snapshot must skip them
    std::optional<Partial> until;  // only between two positions
};

// `far_end` is later than the position: it covers what from.snapshot covers and from.partial->xid.
Window window_between(const Position& from, const Snapshot& far_end);

// The window that a consumer read on its way from one position to a later one, in the same order. Through it a batch can be
// read again.
Window window_between(const Position& from, const Position& to);

// The position of a consumer that has read everything in the window.
Position position_at(const Snapshot& far_end);

// The position of a consumer that has read window_between(from, far_end), in its order, up to and including `last_seen`. With
// `is_finished` the transaction has no further event, so the position covers it. Otherwise the transaction becomes partial.
// That is never wrong: if the transaction has no further event, the next window finds nothing of it.
Position position_after(const Position& from, const Snapshot& far_end, Partial last_seen, bool is_finished);

}  // namespace model
