// Gives out the room of an index, and takes it back. This file is written wholly in P.
#include "reading_index/free_extents.hpp"

#include "postgres/pg.hpp"

namespace reading_index {

Extent take_room(Meta& meta, uint32 pages) {
    for (uint32 i = 0; i < meta.free_count; ++i) {
        Extent& each = meta.free[i];
        if (each.pages < pages) continue;
        const Extent taken{each.first, pages};
        each.first += pages;
        each.pages -= pages;
        if (each.pages == 0) each = meta.free[--meta.free_count];
        return taken;
    }
    const Extent taken{meta.end, pages};
    meta.end += pages;
    return taken;
}

void give_back(Meta& meta, Extent place) {
    if (place.pages == 0) return;
    for (uint32 i = 0; i < meta.free_count;) {
        const Extent each = meta.free[i];
        if (each.first + each.pages != place.first && place.first + place.pages != each.first) {
            ++i;
            continue;
        }
        place = {each.first < place.first ? each.first : place.first, each.pages + place.pages};
        meta.free[i] = meta.free[--meta.free_count];
    }
    if (place.first + place.pages == meta.end)
        meta.end = place.first;
    else if (meta.free_count < kMaxFree)
        meta.free[meta.free_count++] = place;
    else
        elog(ERROR, "more than %u free extents in a reading index", kMaxFree);
}

void cut(Meta& meta, Extent& place, uint32 pages) {
    give_back(meta, {place.first + pages, place.pages - pages});
    place.pages = pages;
}

}  // namespace reading_index
