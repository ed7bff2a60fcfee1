// Reads and fills leaves. This file is written wholly in P.
#include "event_log/btree_leaves.hpp"

#include <algorithm>

#include "postgres/server_versions.hpp"

#include "postgres/pg.hpp"

namespace event_log {
namespace {

// Below this number a visit is not worth its record of WAL, which holds the moved line pointers of the leaf.
constexpr int kFewestOnLeaf = 8;
constexpr int kMostOnLeaf = 512;  // of 8 kB
constexpr int kLongestSkip = 256;

struct KeyTuple {
    IndexTupleData head;
    LeafKey key;
};
static_assert(sizeof(KeyTuple) == MAXALIGN(sizeof(IndexTupleData)) + kLeafKeySize);

template <typename Column>
Column column_at(const void* key, int offset) {
    Column value;
    memcpy(&value, static_cast<const char*>(key) + offset, sizeof value);
    return value;
}

// Compares the first `columns` columns as the index does.
int compare(LeafOrder order, const void* a, const void* b, int columns) {
    if (order == LeafOrder::kUuid) return columns == 0 ? 0 : memcmp(a, b, kLeafKeySize);
    if (columns > 0) {
        const auto x = column_at<uint64>(a, 0), y = column_at<uint64>(b, 0);
        if (x != y) return x < y ? -1 : 1;
    }
    if (columns > 1) {
        const auto x = column_at<int64>(a, 8), y = column_at<int64>(b, 8);
        if (x != y) return x < y ? -1 : 1;
    }
    return 0;
}

int columns_of(LeafOrder order) {
    return order == LeafOrder::kUuid ? 1 : 2;
}

const void* key_of(IndexTuple tuple) {
    return reinterpret_cast<const char*>(tuple) + MAXALIGN(sizeof(IndexTupleData));
}

IndexTuple tuple_at(Page page, OffsetNumber offset) {
    return reinterpret_cast<IndexTuple>(PageGetItem(page, PageGetItemId(page, offset)));
}

// Is the key of an entry below the sought one (-1), the same (0) or above (1)? A NULL is above.
int compare_entry(LeafOrder order, IndexTuple entry, const LeafKey& sought) {
    if (IndexTupleHasNulls(entry)) return 1;
    return compare(order, key_of(entry), sought.bytes, columns_of(order));
}

// Are all entries with this key on the leaf, if there are any? The high key bounds what is on it. Columns that it lacks are
// below every value.
bool is_below_high_key(LeafOrder order, Relation index, Page page, const LeafKey& sought) {
    if (P_RIGHTMOST(BTPageGetOpaque(page))) return true;
    IndexTuple high = tuple_at(page, P_HIKEY);
    if (IndexTupleHasNulls(high)) return true;
    const int columns = std::min<int>(BTreeTupleGetNAtts(high, index), columns_of(order));
    return compare(order, sought.bytes, key_of(high), columns) < 0;
}

// Where the sought key belongs on the leaf. `*is_taken`: an entry there has the same key.
OffsetNumber place_of(LeafOrder order, Page page, OffsetNumber first, const LeafKey& sought, bool* is_taken) {
    OffsetNumber low = first, high = OffsetNumberNext(PageGetMaxOffsetNumber(page));
    *is_taken = false;
    // Most new entries come after all others.
    if (low < high && compare_entry(order, tuple_at(page, OffsetNumberPrev(high)), sought) < 0) return high;
    while (low < high) {
        const auto middle = static_cast<OffsetNumber>(low + (high - low) / 2);
        const int order_of_entry = compare_entry(order, tuple_at(page, middle), sought);
        if (order_of_entry == 0) {
            *is_taken = true;
            return middle;
        }
        if (order_of_entry < 0)
            low = OffsetNumberNext(middle);
        else
            high = middle;
    }
    return low;
}

// Returns the leaf to which the key belongs, locked; InvalidBuffer: the index is empty and `access` is for reading.
Buffer find_leaf(BtreeLeaves& leaves, const LeafKey& key, int access) {
    ScanKey columns = leaves.search->scankeys;
    if (leaves.order == LeafOrder::kUuid) {
        columns[0].sk_argument = PointerGetDatum(key.bytes);
    } else {
        columns[0].sk_argument = Int64GetDatum(column_at<int64>(key.bytes, 0));
        columns[1].sk_argument = Int64GetDatum(column_at<int64>(key.bytes, 8));
    }
    return postgres::find_leaf(leaves.table, leaves.index, leaves.search, access);
}

bool follows(LeafOrder order, const LeafKey& key, const LeafKey& previous) {
    return compare(order, key.bytes, previous.bytes, columns_of(order)) > 0;
}

// After a visit that found few entries for its leaf, the next ones would too.
void grow_skip(BtreeLeaves& leaves) {
    leaves.last_skip = std::min(std::max(2 * leaves.last_skip, 2 * kFewestOnLeaf), kLongestSkip);
    leaves.entries_to_skip = leaves.last_skip;
}

void put_on_leaf(Relation index, Buffer leaf, const LeafEntry* entries, const OffsetNumber* places, int count) {
    GenericXLogState* change = GenericXLogStart(index);
    Page page = GenericXLogRegisterBuffer(change, leaf, 0);
    KeyTuple tuple;
    for (int i = 0; i < count; ++i) {
        tuple.head.t_tid = entries[i].tid;
        tuple.head.t_info = sizeof tuple;
        tuple.key = entries[i].key;
        const auto place = static_cast<OffsetNumber>(places[i] + i);  // entries that were put before it have moved it
        if (PageAddItem(page, reinterpret_cast<Item>(&tuple), sizeof tuple, place, false, false) == InvalidOffsetNumber)
            elog(ERROR, "no room on a leaf of index \"%s\"", RelationGetRelationName(index));
    }
    GenericXLogFinish(change);
}

}  // namespace

void open_leaves(BtreeLeaves& leaves, Relation table, Relation index, LeafOrder order) {
    leaves.table = table;
    leaves.index = index;
    leaves.order = order;
    leaves.entries_to_skip = 0;
    leaves.last_skip = 0;
    // A tuple with any values makes a search for all columns.
    KeyTuple any{};
    any.head.t_info = sizeof any;
    leaves.search = _bt_mkscankey(index, &any.head);
    leaves.search->scantid = nullptr;  // the first leaf that may have the key
    if (leaves.search->heapkeyspace) return;
    pfree(leaves.search);
    leaves.search = nullptr;
}

int count_absent(BtreeLeaves& leaves, const LeafKey* keys, int count) {
    if (leaves.search == nullptr || count == 0) return 0;
    const Buffer leaf = find_leaf(leaves, keys[0], BT_READ);
    if (!BufferIsValid(leaf)) return count;
    Page page = BufferGetPage(leaf);
    OffsetNumber place = P_FIRSTDATAKEY(BTPageGetOpaque(page));
    int absent = 0;
    for (; absent < count; ++absent) {
        const LeafKey& key = keys[absent];
        if (absent > 0 && !follows(leaves.order, key, keys[absent - 1])) break;
        if (!is_below_high_key(leaves.order, leaves.index, page, key)) break;
        bool is_taken;
        place = place_of(leaves.order, page, place, key, &is_taken);
        if (is_taken) break;
    }
    _bt_relbuf(leaves.index, leaf);
    return absent;
}

int insert_on_leaf(BtreeLeaves& leaves, const LeafEntry* entries, int count) {
    if (leaves.search == nullptr || count < kFewestOnLeaf) return 0;
    if (leaves.entries_to_skip > 0) {
        --leaves.entries_to_skip;
        return 0;
    }
    const Buffer leaf = find_leaf(leaves, entries[0].key, BT_WRITE);
    Page page = BufferGetPage(leaf);
    CheckForSerializableConflictIn(leaves.index, nullptr, BufferGetBlockNumber(leaf));  // as the server does
    constexpr auto kRoomOfEntry = sizeof(KeyTuple) + sizeof(ItemIdData);
    const int room = std::min(static_cast<int>(PageGetExactFreeSpace(page) / kRoomOfEntry), kMostOnLeaf);
    OffsetNumber places[kMostOnLeaf];
    OffsetNumber place = P_FIRSTDATAKEY(BTPageGetOpaque(page));
    int taken = 0;
    while (!P_INCOMPLETE_SPLIT(BTPageGetOpaque(page)) && taken < std::min(count, room)) {
        const LeafKey& key = entries[taken].key;
        if (taken > 0 && !follows(leaves.order, key, entries[taken - 1].key)) break;
        if (!is_below_high_key(leaves.order, leaves.index, page, key)) break;
        bool is_taken;
        place = place_of(leaves.order, page, place, key, &is_taken);
        if (is_taken) break;
        places[taken++] = place;
    }
    // A full leaf says nothing about the next one.
    const bool is_full = taken == room;
    if (taken >= kFewestOnLeaf) {
        put_on_leaf(leaves.index, leaf, entries, places, taken);
        leaves.last_skip = 0;
    } else {
        taken = 0;
        if (!is_full) grow_skip(leaves);
    }
    _bt_relbuf(leaves.index, leaf);
    return taken;
}

}  // namespace event_log
