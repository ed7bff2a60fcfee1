// Finds the rows of one device in a range of time. This file is written wholly in P.
#include "reading_index/scan.hpp"

#include "postgres/server_versions.hpp"
#include "reading_index/entry.hpp"
#include "reading_index/layout.hpp"
#include "reading_index/metapage.hpp"

#include "postgres/pg.hpp"

namespace reading_index {
namespace {

constexpr int kMostAttempts = 10;  // to read the runs while settlers replace them

struct Wanted {
    uint32 device;
    int32 first, last;  // seconds
    bool is_nothing;
};

struct Found {
    TIDBitmap* bitmap;
    BlockNumber heap_blocks;  // rows and blocks beyond do not exist
    int64 rows;
};

// A bound of another type is compared as the operator compares it. Out of range, it becomes an infinity.
TimestampTz bound_of(const ScanKeyData& key) {
    int overflow;
    switch (key.sk_subtype) {
        case DATEOID:
            return date2timestamptz_opt_overflow(DatumGetDateADT(key.sk_argument), &overflow);
        case TIMESTAMPOID:
            return timestamp2timestamptz_opt_overflow(DatumGetTimestamp(key.sk_argument), &overflow);
        case TIMESTAMPTZOID:
        case InvalidOid:
            return DatumGetTimestampTz(key.sk_argument);
        default:
            elog(ERROR, "a reading index cannot compare times with type %u", key.sk_subtype);
    }
}

Wanted wanted_of(IndexScanDesc scan) {
    Wanted wanted{0, PG_INT32_MIN, PG_INT32_MAX, true};
    for (int i = 0; i < scan->numberOfKeys; ++i) {
        const ScanKeyData& key = scan->keyData[i];
        if ((key.sk_flags & SK_ISNULL) != 0) return {0, 0, 0, true};  // no operator is true of null
        if (key.sk_attno == 1) {
            const uint32 device = hash_of_device(key.sk_argument);
            if (!wanted.is_nothing && device != wanted.device) return {0, 0, 0, true};
            wanted.device = device;
            wanted.is_nothing = false;
        } else {
            const int32 second = second_of(bound_of(key));
            if (key.sk_strategy >= BTEqualStrategyNumber && second > wanted.first) wanted.first = second;
            if (key.sk_strategy <= BTEqualStrategyNumber && second < wanted.last) wanted.last = second;
        }
    }
    if (wanted.first > wanted.last) wanted.is_nothing = true;
    return wanted;
}

// Opens a page of a run, locked. False: it belongs to another run now.
bool open_page(Relation index, const Run& run, uint32 number, Buffer& buffer, const RunPage*& page) {
    buffer = ReleaseAndReadBuffer(buffer, index, run.place.first + number);
    LockBuffer(buffer, BUFFER_LOCK_SHARE);
    Page bytes = BufferGetPage(buffer);
    if (PageIsNew(bytes) || run_page_of(bytes)->stamp != run.stamp) {
        LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
        return false;
    }
    page = run_page_of(bytes);
    return true;
}

// Sets the page on which the entries from `from` on begin: the last one whose first entry is before `from`. Hashes are spread
// evenly, so the search begins where such a hash is expected, and doubles its step until it is past the place. False: a page
// belongs to another run now.
bool find_page(Relation index, const Run& run, const Entry& from, Buffer& buffer, uint32& found) {
    uint32 low = 0, high = run.place.pages;
    uint32 guess = static_cast<uint32>(static_cast<uint64>(from.device) * run.place.pages >> 32);
    uint32 step = 1 + (run.place.pages >> 8);
    while (high - low > 1) {
        CHECK_FOR_INTERRUPTS();
        const bool is_near = high - low <= 4 * step;
        uint32 middle = low + (high - low) / 2;
        if (!is_near) middle = guess <= low ? low + 1 : guess >= high ? high - 1 : guess;
        const RunPage* page;
        if (!open_page(index, run, middle, buffer, page)) return false;
        const bool before = is_before(page->entries[0], from);
        LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
        if (before) {
            low = middle;
            guess = middle + step;
        } else {
            high = middle;
            guess = middle > step ? middle - step : 0;
        }
        step *= 2;
    }
    found = low;
    return true;
}

uint32 first_entry(const RunPage& page, const Entry& from) {
    uint32 low = 0, high = page.count;
    while (low < high) {
        const uint32 middle = low + (high - low) / 2;
        if (is_before(page.entries[middle], from))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool add_run(Relation index, const Run& run, const Wanted& wanted, Buffer& buffer, Found& found) {
    const Entry from{wanted.device, wanted.first, {}};
    uint32 number = 0;
    if (!find_page(index, run, from, buffer, number)) return false;
    for (bool goes_on = true; goes_on && number < run.place.pages; ++number) {
        CHECK_FOR_INTERRUPTS();
        ItemPointerData rows[kPageEntries];
        int count = 0;
        const RunPage* page;
        if (!open_page(index, run, number, buffer, page)) return false;
        uint32 at = first_entry(*page, from);
        for (; at < page->count; ++at) {
            const Entry& entry = page->entries[at];
            if (entry.device != wanted.device || entry.second > wanted.last) break;
            if (ItemPointerGetBlockNumber(&entry.tid) < found.heap_blocks) rows[count++] = entry.tid;
        }
        goes_on = at == page->count;
        LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
        if (count > 0) tbm_add_tuples(found.bitmap, rows, count, true);
        found.rows += count;
    }
    return true;
}

// Reads the youngest runs first, because settlers replace these the soonest.
bool add_runs(Relation index, const Meta& meta, const Wanted& wanted, Found& found) {
    Buffer buffer = InvalidBuffer;
    bool is_whole = true;
    for (uint32 i = meta.run_count; i > 0 && is_whole; --i) {
        const Run& run = meta.runs[i - 1];
        if (run.first_second > wanted.last || run.last_second < wanted.first) continue;
        is_whole = add_run(index, run, wanted, buffer, found);
    }
    if (BufferIsValid(buffer)) ReleaseBuffer(buffer);
    return is_whole;
}

void add_block(Found& found, BlockNumber block) {
    if (block < found.heap_blocks) tbm_add_page(found.bitmap, block);
}

BlockNumber blocks_of_table(Relation index) {
    Relation table = table_open(index->rd_index->indrelid, NoLock);
    const BlockNumber blocks = RelationGetNumberOfBlocks(table);
    table_close(table, NoLock);
    return blocks;
}

}  // namespace

int64 get_bitmap(IndexScanDesc scan, TIDBitmap* bitmap) {
    postgres::count_index_scan(scan);
    const Wanted wanted = wanted_of(scan);
    if (wanted.is_nothing) return 0;
    Relation index = scan->indexRelation;
    Found found{bitmap, blocks_of_table(index), 0};
    Meta meta;
    BlockNumber first_of_tail = 0;  // the whole table, if the runs are replaced over and over
    for (int attempt = 0; attempt < kMostAttempts; ++attempt) {
        read_meta(index, meta);
        if (!add_runs(index, meta, wanted, found)) continue;
        for (uint32 i = 0; i < meta.noted_count; ++i) add_block(found, meta.noted[i]);
        for (uint32 i = 0; i < meta.settling_count; ++i) add_block(found, meta.settling[i]);
        first_of_tail = meta.settled;
        break;
    }
    for (BlockNumber block = first_of_tail; block < found.heap_blocks; ++block) {
        CHECK_FOR_INTERRUPTS();
        add_block(found, block);
    }
    return found.rows;
}

}  // namespace reading_index
