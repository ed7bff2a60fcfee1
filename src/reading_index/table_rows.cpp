// Makes the entries of the rows of a table's blocks. This file is written wholly in P.
#include "reading_index/table_rows.hpp"

#include "reading_index/entry.hpp"

#include "postgres/pg.hpp"

namespace reading_index {
namespace {

constexpr uint32 kFirstRoom = 65536;

void add_entry(Entries& entries, const Entry& entry) {
    if (entries.count == entries.room) {
        entries.room *= 2;
        entries.items = static_cast<Entry*>(repalloc_huge(entries.items, sizeof(Entry) * entries.room));
    }
    entries.items[entries.count++] = entry;
}

void add_unread(UnreadBlocks& unread, BlockNumber block) {
    if (unread.count == unread.room) {
        unread.room *= 2;
        unread.items = static_cast<BlockNumber*>(repalloc_huge(unread.items, sizeof(BlockNumber) * unread.room));
    }
    unread.items[unread.count++] = block;
}

// Adds the row's entry for the place `root`. False: the device is stored apart.
bool add_row(TableReader& reader, HeapTupleData& row, const ItemPointerData& root) {
    const int2vector& columns = reader.index->rd_index->indkey;
    TupleDesc shape = RelationGetDescr(reader.table);
    bool no_device, no_time;
    const Datum device = heap_getattr(&row, columns.values[0], shape, &no_device);
    const Datum time = heap_getattr(&row, columns.values[1], shape, &no_time);
    if (no_device || no_time) return true;  // no operator finds it
    if (VARATT_IS_EXTERNAL(DatumGetPointer(device))) return false;
    add_entry(reader.entries, {hash_of_device(device), second_of(DatumGetTimestampTz(time)), root});
    return true;
}

// Index scans come to the versions of a row that are on its page by way of the first one (HOT). Each version has an entry with
// its own values, and the place of the first one. A version that no first one leads to was rolled back.
bool add_rows(TableReader& reader, BlockNumber block, Page page) {
    OffsetNumber roots[MaxHeapTuplesPerPage];
    heap_get_root_tuples(page, roots);
    bool has_all = true;
    const OffsetNumber last = PageGetMaxOffsetNumber(page);
    for (OffsetNumber number = FirstOffsetNumber; number <= last; number = OffsetNumberNext(number)) {
        ItemId item = PageGetItemId(page, number);
        if (!ItemIdIsNormal(item)) continue;
        HeapTupleData row;
        row.t_data = reinterpret_cast<HeapTupleHeader>(PageGetItem(page, item));
        row.t_len = ItemIdGetLength(item);
        row.t_tableOid = RelationGetRelid(reader.table);
        ItemPointerSet(&row.t_self, block, number);
        const OffsetNumber root = HeapTupleIsHeapOnly(&row) ? roots[number - 1] : number;
        if (!OffsetNumberIsValid(root)) continue;
        ItemPointerData place;
        ItemPointerSet(&place, block, root);
        if (!add_row(reader, row, place)) has_all = false;
    }
    return has_all;
}

}  // namespace

TableReader make_reader(Relation table, Relation index) {
    return {table,
            index,
            GetAccessStrategy(BAS_BULKREAD),
            {static_cast<Entry*>(palloc(sizeof(Entry) * kFirstRoom)), 0, kFirstRoom},
            {static_cast<BlockNumber*>(palloc(sizeof(BlockNumber) * 16)), 0, 16}};
}

void read_block(TableReader& reader, BlockNumber block) {
    CHECK_FOR_INTERRUPTS();
    Buffer buffer = ReadBufferExtended(reader.table, MAIN_FORKNUM, block, RBM_NORMAL, reader.strategy);
    LockBuffer(buffer, BUFFER_LOCK_SHARE);
    const bool has_all = add_rows(reader, block, BufferGetPage(buffer));
    UnlockReleaseBuffer(buffer);
    if (!has_all) add_unread(reader.unread, block);
}

}  // namespace reading_index
