// Arrays that grow, for guarded blocks: there nothing may have a destructor. This file is written wholly in P.
#pragma once

#include <cstddef>

#include "postgres/pg.hpp"

namespace postgres {

// Starts as GrowingArray<Item>{}. The items are in the memory context that was current when they were appended.
template <typename Item>
struct GrowingArray {
    Item* items;
    std::size_t count, room;

    const Item* begin() const noexcept { return items; }
    const Item* end() const noexcept { return items + count; }
};

template <typename Item>
void append(GrowingArray<Item>& array, const Item& item) {
    if (array.count == array.room) {
        array.room = array.room == 0 ? 16 : 2 * array.room;
        const std::size_t size = sizeof(Item) * array.room;
        array.items = static_cast<Item*>(array.items == nullptr ? MemoryContextAllocHuge(CurrentMemoryContext, size)
                                                                : repalloc_huge(array.items, size));
    }
    array.items[array.count++] = item;
}

}  // namespace postgres
