// Writes the pages of a run from sorted sources. This file is written wholly in P.
#include "reading_index/run_writer.hpp"

#include "postgres/critical_section.hpp"
#include "postgres/pg.hpp"

namespace reading_index {
namespace {

// Has the source a next entry? It reads the next page of a stored run if it must.
bool has_next(Relation index, Source& source) {
    for (;;) {
        if (source.items != nullptr && source.position.entry < source.count) return true;
        if (source.run == nullptr) return false;
        if (source.items != nullptr) {
            source.position = {source.position.page + 1, 0};
            source.items = nullptr;
        }
        if (source.position.page >= source.run->place.pages) return false;
        Buffer buffer = ReadBuffer(index, source.run->place.first + source.position.page);
        LockBuffer(buffer, BUFFER_LOCK_SHARE);
        *source.page = *run_page_of(BufferGetPage(buffer));
        UnlockReleaseBuffer(buffer);
        if (source.page->stamp != source.run->stamp)
            ereport(ERROR, (errcode(ERRCODE_INDEX_CORRUPTED),
                            errmsg("block %u of index \"%s\" is of another run", source.run->place.first + source.position.page,
                                   RelationGetRelationName(index)),
                            errhint("REINDEX makes the index anew.")));
        source.items = source.page->entries;
        source.count = source.page->count;
    }
}

// Returns the block, locked. Its contents are not read.
Buffer block_to_write(Relation index, BlockNumber block) {
    while (RelationGetNumberOfBlocks(index) <= block) {
        Buffer buffer = ReadBufferExtended(index, MAIN_FORKNUM, P_NEW, RBM_NORMAL, nullptr);
        if (BufferGetBlockNumber(buffer) == block) {
            LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
            return buffer;
        }
        ReleaseBuffer(buffer);  // of a merge that has not come so far
    }
    return ReadBufferExtended(index, MAIN_FORKNUM, block, RBM_ZERO_AND_LOCK, nullptr);
}

void store(Relation index, BlockNumber block, const RunPage& content) {
    Buffer buffer = block_to_write(index, block);
    const Size bytes = kRunPageHeader + content.count * sizeof(Entry);
    postgres::begin_critical_section();
    prepare_page(BufferGetPage(buffer), bytes);
    memcpy(run_page_of(BufferGetPage(buffer)), &content, bytes);
    MarkBufferDirty(buffer);
    if (RelationNeedsWAL(index)) log_newpage_buffer(buffer, true);
    postgres::end_critical_section();
    UnlockReleaseBuffer(buffer);
}

Source* lowest_of(Relation index, Source* sources, uint32 source_count) {
    Source* lowest = nullptr;
    for (Source* each = sources; each < sources + source_count; ++each)
        if (has_next(index, *each) &&
            (lowest == nullptr || is_before(each->items[each->position.entry], lowest->items[lowest->position.entry])))
            lowest = each;
    return lowest;
}

}  // namespace

Source source_of(const Entry* items, uint32 count) {
    return {items, count, nullptr, {0, 0}, nullptr};
}

Source source_of(const Run& run, RunPosition position) {
    return {nullptr, 0, &run, position, static_cast<RunPage*>(palloc(sizeof(RunPage)))};
}

bool write_pages(Relation index, Source* sources, uint32 source_count, Run& target, uint32& written, uint32 max_pages) {
    auto* page = static_cast<RunPage*>(palloc(sizeof(RunPage)));
    page->stamp = target.stamp;
    Entry last{};  // no row is at this place
    bool is_at_end = false;
    for (uint32 pages = 0; pages < max_pages && !is_at_end; ++pages) {
        CHECK_FOR_INTERRUPTS();
        page->count = 0;
        Source* lowest;
        while ((lowest = lowest_of(index, sources, source_count)) != nullptr && page->count < kPageEntries) {
            const Entry& entry = lowest->items[lowest->position.entry++];
            if (compare(entry, last) == 0) continue;  // a block was read twice
            last = entry;
            page->entries[page->count++] = entry;
            if (entry.second < target.first_second) target.first_second = entry.second;
            if (entry.second > target.last_second) target.last_second = entry.second;
        }
        is_at_end = lowest == nullptr;
        if (page->count == 0) break;
        if (written >= target.place.pages) elog(ERROR, "a run of index \"%s\" has no room", RelationGetRelationName(index));
        store(index, target.place.first + written++, *page);
        target.entries += page->count;
    }
    pfree(page);
    return is_at_end;
}

}  // namespace reading_index
