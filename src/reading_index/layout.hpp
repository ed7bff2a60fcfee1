// The pages of a reading index. This file is written wholly in P.
//
// Block 0 is the metapage. Each other block is a page of a run, or free. README.md says what the parts are for.
#pragma once

#include "postgres/pg.hpp"

namespace reading_index {

constexpr uint32 kMagic = 0x54435231;
constexpr uint32 kMaxRuns = 128;
constexpr uint32 kMaxMerged = 16;          // runs that one merge takes
constexpr uint32 kMaxFree = kMaxRuns + 2;  // extents in use are runs and one merge, and between two of them is one free extent
constexpr uint32 kMaxNoted = 320;

struct Extent {
    BlockNumber first;
    uint32 pages;
};

// A run is a sorted list of entries on consecutive pages. Nobody changes it. `stamp` is on each of its pages, so that a reader
// sees that a page has become part of another run.
struct Run {
    Extent place;
    uint32 entries;
    uint64 stamp;
    int32 first_second, last_second;
};

// A place in a run: the next entry to read.
struct RunPosition {
    uint32 page, entry;
};

// A merge that is not finished. The runs in [first_run, first_run + run_count) are its sources.
struct Merge {
    uint32 first_run, run_count;  // run_count is 0: no merge
    uint32 written;               // pages
    Run target;                   // `entries` and the seconds are of the written pages
    RunPosition positions[kMaxMerged];
};

struct Meta {
    uint32 magic;
    BlockNumber claimed;
    BlockNumber settled;
    BlockNumber end;  // the index's own blocks that are in use or free lie below
    uint64 last_stamp;
    uint32 run_count;
    uint32 free_count;
    uint32 noted_count;
    uint32 settling_count;
    Run runs[kMaxRuns];  // the oldest first
    Extent free[kMaxFree];
    Merge merge;
    BlockNumber noted[kMaxNoted];     // blocks that no settler has looked at since
    BlockNumber settling[kMaxNoted];  // noted blocks that a settler looks at
};
static_assert(sizeof(Meta) <= BLCKSZ - MAXALIGN(SizeOfPageHeaderData));

struct __attribute__((packed, aligned(2))) Entry {
    uint32 device;  // a hash
    int32 second;   // since 2000, the nearest that fits
    ItemPointerData tid;
};
static_assert(sizeof(Entry) == 14);

constexpr uint32 kRunPageHeader = sizeof(uint64) + sizeof(uint32);
constexpr uint32 kPageEntries = (BLCKSZ - MAXALIGN(SizeOfPageHeaderData) - kRunPageHeader) / sizeof(Entry);

struct RunPage {
    uint64 stamp;
    uint32 count;
    Entry entries[kPageEntries];
};
static_assert(offsetof(RunPage, entries) == kRunPageHeader);
static_assert(sizeof(RunPage) <= BLCKSZ - MAXALIGN(SizeOfPageHeaderData));

inline Meta* meta_of(Page page) {
    return reinterpret_cast<Meta*>(PageGetContents(page));
}

inline RunPage* run_page_of(Page page) {
    return reinterpret_cast<RunPage*>(PageGetContents(page));
}

// Returns how many blocks of the table a scan reads whole, if the table has so many blocks.
inline uint32 unsettled_blocks(const Meta& meta, BlockNumber blocks) {
    return (blocks > meta.settled ? blocks - meta.settled : 0) + meta.noted_count + meta.settling_count;
}

// Makes the page one with so many bytes of contents.
inline void prepare_page(Page page, Size bytes) {
    PageInit(page, BLCKSZ, 0);
    reinterpret_cast<PageHeader>(page)->pd_lower =
        static_cast<LocationIndex>(PageGetContents(page) + bytes - static_cast<char*>(page));
}

// The order of a run. Equal entries are of one row.
inline int compare(const Entry& a, const Entry& b) {
    if (a.device != b.device) return a.device < b.device ? -1 : 1;
    if (a.second != b.second) return a.second < b.second ? -1 : 1;
    ItemPointerData of_a = a.tid, of_b = b.tid;
    return ItemPointerCompare(&of_a, &of_b);
}

inline bool is_before(const Entry& a, const Entry& b) {
    return compare(a, b) < 0;
}

}  // namespace reading_index
