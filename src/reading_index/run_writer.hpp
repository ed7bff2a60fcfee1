// Writes the pages of a run from sorted sources. This file is written wholly in P.
#pragma once

#include "reading_index/layout.hpp"

#include "postgres/pg.hpp"

namespace reading_index {

// A sorted list of entries: some in memory, or a stored run.
struct Source {
    const Entry* items;
    uint32 count;
    const Run* run;  // null: `items` is the whole list
    RunPosition position;
    RunPage* page;  // the run's page that `items` is of
};

Source source_of(const Entry* items, uint32 count);
Source source_of(const Run& run, RunPosition position);

// Writes the next pages of the target, whose place and stamp are set, and at most `max_pages`. Adds what it has written to
// `target` and to `written`. Leaves entries out that come twice. Returns whether the sources are at their end.
bool write_pages(Relation index, Source* sources, uint32 source_count, Run& target, uint32& written, uint32 max_pages);

}  // namespace reading_index
