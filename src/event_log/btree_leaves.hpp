// Visits a leaf of a btree index once for many entries: looks there for all keys that may be on it, and puts all entries there
// that it has room for. This file is written wholly in P.
//
// The server's functions go down from the root for each entry and write one record of WAL for each. Here a visit takes entries
// as long as they belong between the neighbours on the leaf, and logs the change of the page once (generic WAL). It takes only
// the plain case. For all else it says so and changes nothing: another entry has the same key, the leaf is full, or the place
// is not clear without a look at the next leaf. Then the server's functions do their work, with its waits and its splits.
#pragma once

#include <cstdint>

#include "postgres/pg.hpp"

namespace event_log {

constexpr int kLeafKeySize = 16;

// The key of an entry, with the bytes of its columns. All columns are NOT NULL.
struct LeafKey {
    alignas(8) unsigned char bytes[kLeafKeySize];
};

struct LeafEntry {
    LeafKey key;
    ItemPointerData tid;
};

enum class LeafOrder : std::uint8_t {
    kUuid,         // one column of type uuid
    kXid8AndInt8,  // two columns
};

struct BtreeLeaves {
    Relation table;
    Relation index;
    LeafOrder order;
    BTScanInsert search;  // null: the index is of an older format, and every visit takes nothing
    int entries_to_skip;  // until the next visit that inserts, because the last one found few entries for its leaf
    int last_skip;
};

// Prepares visits to an index that is open for writing. It is a btree with exactly the columns of `order`, ascending, and NULLs
// are last.
void open_leaves(BtreeLeaves& leaves, Relation table, Relation index, LeafOrder order);

// Counts the keys, from the first one on, that no entry of the index has, dead entries included. The keys are in ascending
// order. The count ends early at the end of a leaf. 0: the first key may have an entry.
int count_absent(BtreeLeaves& leaves, const LeafKey* keys, int count);

// Inserts the entries, from the first one on, that belong on one leaf, and returns their number. It waits for nothing but the
// lock of the leaf. 0: the server has to insert the first one.
int insert_on_leaf(BtreeLeaves& leaves, const LeafEntry* entries, int count);

}  // namespace event_log
