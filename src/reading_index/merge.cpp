// Merges runs into larger ones, a bounded part at a time. This file is written wholly in P.
//
// A reader looks into each run, so there must be few. A merge takes the youngest runs when all but the oldest of them together
// are at least three times as large as that one. So an entry is written once each time its run has become four times as large.
// The metapage has the merge's progress, and any settler goes on with it.
#include "reading_index/merge.hpp"

#include "postgres/injection_point.hpp"
#include "reading_index/free_extents.hpp"
#include "reading_index/layout.hpp"
#include "reading_index/metapage.hpp"
#include "reading_index/run_writer.hpp"

#include "postgres/pg.hpp"

namespace reading_index {
namespace {

constexpr uint64 kGrowth = 3;
// The target of an ordinary merge is no larger (about a gigabyte), so that few young runs gather while one is written.
constexpr uint64 kMostEntries = 1U << 26;

// The merge that is due when almost no item for a run is left. It may be of any size.
uint32 first_of_needed_merge(const Meta& meta) {
    if (meta.run_count <= kMaxRuns - kMaxMerged) return meta.run_count;
    uint64 entries = 0;
    uint32 first = meta.run_count;
    while (meta.run_count - first < kMaxMerged && entries + meta.runs[first - 1].entries <= PG_UINT32_MAX)
        entries += meta.runs[--first].entries;
    return meta.run_count - first < 2 ? meta.run_count : first;
}

// Returns the first run of the merge that is due; `run_count`: none is.
uint32 first_of_merge(const Meta& meta) {
    uint64 younger = 0;
    uint32 first = meta.run_count;
    for (uint32 count = 1; count <= Min(meta.run_count, kMaxMerged); ++count) {
        const uint64 entries = meta.runs[meta.run_count - count].entries;
        if (younger + entries > kMostEntries) break;
        if (kGrowth * entries <= younger) first = meta.run_count - count;
        younger += entries;
    }
    return first < meta.run_count ? first : first_of_needed_merge(meta);
}

// Plans the merge that is due. False: none is.
bool begin(Meta& meta) {
    const uint32 first = first_of_merge(meta);
    if (first == meta.run_count) return false;
    uint64 entries = 0;
    for (uint32 i = first; i < meta.run_count; ++i) entries += meta.runs[i].entries;
    const auto pages = static_cast<uint32>((entries + kPageEntries - 1) / kPageEntries);
    memset(&meta.merge, 0, sizeof meta.merge);
    meta.merge.first_run = first;
    meta.merge.run_count = meta.run_count - first;
    meta.merge.target = {take_room(meta, pages), 0, ++meta.last_stamp, PG_INT32_MAX, PG_INT32_MIN};
    return true;
}

// The target takes the place of the sources. Younger runs stay behind it.
void finish(Meta& meta) {
    const uint32 first = meta.merge.first_run, count = meta.merge.run_count;
    for (uint32 i = first; i < first + count; ++i) give_back(meta, meta.runs[i].place);
    cut(meta, meta.merge.target.place, meta.merge.written);
    meta.runs[first] = meta.merge.target;
    memmove(meta.runs + first + 1, meta.runs + first + count, sizeof(Run) * (meta.run_count - first - count));
    meta.run_count -= count - 1;
    memset(&meta.merge, 0, sizeof meta.merge);
}

}  // namespace

bool merge_step(Relation index, uint32 max_pages) {
    Meta meta;
    read_meta(index, meta);
    Merge& merge = meta.merge;
    if (merge.run_count == 0 && !begin(meta)) return false;
    const uint32 source_count = merge.run_count;
    auto* sources = static_cast<Source*>(palloc(sizeof(Source) * source_count));
    for (uint32 i = 0; i < source_count; ++i) sources[i] = source_of(meta.runs[merge.first_run + i], merge.positions[i]);
    const bool is_at_end = write_pages(index, sources, source_count, merge.target, merge.written, max_pages);
    TELEMETRY_INJECTION_POINT_IN_P("readings_merged");
    for (uint32 i = 0; i < source_count; ++i) merge.positions[i] = sources[i].position;
    if (is_at_end) finish(meta);
    change_meta(index, [&meta](Meta& changed) { copy_runs(changed, meta); });
    return !is_at_end || first_of_merge(meta) < meta.run_count;
}

}  // namespace reading_index
