// Enters the rows of new and noted blocks into the runs, and merges runs. This file is written wholly in P.
// README.md has the steps, and says why each of them keeps every row covered.
#include "reading_index/settle.hpp"

#include <algorithm>

#include "postgres/injection_point.hpp"
#include "reading_index/free_extents.hpp"
#include "reading_index/layout.hpp"
#include "reading_index/merge.hpp"
#include "reading_index/metapage.hpp"
#include "reading_index/note.hpp"
#include "reading_index/run_writer.hpp"
#include "reading_index/table_rows.hpp"

#include "postgres/pg.hpp"

namespace reading_index {
namespace {

constexpr StepLimits kLimitsOfAll{1, 8192, 4096};

// Claims the next blocks of the tail, at most so many, and takes over the noted ones. Sets `meta` to the metapage as it is
// then, and returns where the claimed blocks end. The tail begins at the end of the table at the latest: VACUUM may have cut
// blocks off, and those that take their place are new.
BlockNumber claim(Relation index, uint32 max_blocks, BlockNumber blocks, Meta& meta) {
    BlockNumber until = 0;
    change_meta(index, [max_blocks, blocks, &meta, &until](Meta& changed) {
        if (changed.settled > blocks) changed.settled = changed.claimed = blocks;
        until = changed.settled + Min(max_blocks, blocks - changed.settled);
        if (changed.claimed < until) changed.claimed = until;
        while (changed.noted_count > 0 && changed.settling_count < kMaxNoted)
            changed.settling[changed.settling_count++] = changed.noted[--changed.noted_count];
        meta = changed;
    });
    return until;
}

void read_claimed(TableReader& reader, const Meta& meta, BlockNumber until) {
    for (BlockNumber block = meta.settled; block < until; ++block) read_block(reader, block);
    for (uint32 i = 0; i < meta.settling_count; ++i)
        if (meta.settling[i] < meta.settled) read_block(reader, meta.settling[i]);
}

// Writes the entries as a run, and sets `planned` to what the index is then.
void write_run(Relation index, const Entries& entries, Meta& planned) {
    if (entries.count == 0) return;
    const uint32 pages = (entries.count + kPageEntries - 1) / kPageEntries;
    Run run{take_room(planned, pages), 0, ++planned.last_stamp, PG_INT32_MAX, PG_INT32_MIN};
    Source source = source_of(entries.items, entries.count);
    uint32 written = 0;
    write_pages(index, &source, 1, run, written, pages);
    cut(planned, run.place, written);
    planned.runs[planned.run_count++] = run;
}

// Enters the rows of the next blocks of the tail, at most so many, and of the noted blocks.
void enter(Relation table, Relation index, const StepLimits& limits, BlockNumber blocks) {
    Meta meta;
    read_meta(index, meta);
    const bool has_work = meta.settled > blocks || unsettled_blocks(meta, blocks) >= limits.fewest_blocks;
    if (!has_work || meta.run_count == kMaxRuns) return;
    const BlockNumber until = claim(index, limits.blocks, blocks, meta);
    TELEMETRY_INJECTION_POINT_IN_P("readings_claimed");
    TableReader reader = make_reader(table, index);
    read_claimed(reader, meta, until);
    std::sort(reader.entries.items, reader.entries.items + reader.entries.count, is_before);
    write_run(index, reader.entries, meta);
    TELEMETRY_INJECTION_POINT_IN_P("readings_written");
    // If a writer has lengthened the tail meanwhile, it has lowered `claimed`, and others have not noted the blocks from there
    // on.
    change_meta(index, [until, &meta, &reader](Meta& changed) {
        copy_runs(changed, meta);
        changed.settled = Min(until, changed.claimed);
        changed.settling_count = 0;
        for (uint32 i = 0; i < reader.unread.count; ++i) enter_note(changed, reader.unread.items[i]);
    });
}

Progress step(Relation table, Relation index, const StepLimits& limits) {
    MemoryContext memory = AllocSetContextCreate(CurrentMemoryContext, "telemetry_cqrs settling", ALLOCSET_DEFAULT_SIZES);
    MemoryContext callers = MemoryContextSwitchTo(memory);
    const BlockNumber blocks = RelationGetNumberOfBlocks(table);
    Progress progress;
    enter(table, index, limits, blocks);
    progress.has_merging = merge_step(index, limits.pages);
    Meta meta;
    read_meta(index, meta);
    progress.has_blocks = unsettled_blocks(meta, blocks) >= limits.fewest_blocks;
    MemoryContextSwitchTo(callers);
    MemoryContextDelete(memory);
    return progress;
}

// Opens the index without waiting for a lock. Null: it is locked, gone, or not to be settled.
Relation open_free_index(Oid oid) {
    if (!ConditionalLockRelationOid(oid, RowExclusiveLock)) return nullptr;
    Relation index = try_relation_open(oid, NoLock);
    if (index == nullptr) {
        UnlockRelationOid(oid, RowExclusiveLock);
        return nullptr;
    }
    if (is_reading_index(index) && is_to_be_settled(index)) return index;
    relation_close(index, RowExclusiveLock);
    return nullptr;
}

}  // namespace

bool is_to_be_settled(Relation index) {
    const Form_pg_index form = index->rd_index;
    return form->indislive && form->indisready && form->indisvalid;
}

Progress settle_step(Relation table, Relation index, const StepLimits& limits) {
    LockPage(index, 0, ExclusiveLock);
    const Progress progress = step(table, index, limits);
    UnlockPage(index, 0, ExclusiveLock);
    return progress;
}

void settle_all(Relation table, Relation index) {
    const BlockNumber goal = RelationGetNumberOfBlocks(table);
    for (;;) {
        CHECK_FOR_INTERRUPTS();
        const Progress progress = settle_step(table, index, kLimitsOfAll);
        Meta meta;
        read_meta(index, meta);
        if (meta.settled >= goal && !progress.has_merging) return;
    }
}

Progress settle_table(Oid oid, const StepLimits& limits) {
    Progress all{false, false};
    if (!ConditionalLockRelationOid(oid, AccessShareLock)) return all;
    Relation table = try_relation_open(oid, NoLock);
    if (table == nullptr) {
        UnlockRelationOid(oid, AccessShareLock);
        return all;
    }
    List* indexes = RelationGetIndexList(table);
    for (int i = 0; i < list_length(indexes); ++i) {
        Relation index = open_free_index(list_nth_oid(indexes, i));
        if (index == nullptr) continue;
        if (ConditionalLockPage(index, 0, ExclusiveLock)) {
            const Progress progress = step(table, index, limits);
            UnlockPage(index, 0, ExclusiveLock);
            all.has_blocks = all.has_blocks || progress.has_blocks;
            all.has_merging = all.has_merging || progress.has_merging;
        }
        relation_close(index, RowExclusiveLock);
    }
    list_free(indexes);
    relation_close(table, AccessShareLock);
    return all;
}

}  // namespace reading_index
