// Copies statistics out of stored values and into them, because such a value need not be aligned.
#include "summary/stored_summary.hpp"

#include <cstring>
#include <optional>

#include "postgres/text.hpp"
#include "summary/sketch_bytes.hpp"

#include "postgres/pg.hpp"

namespace summary {

namespace {

void store_as(StoredStatistics& stored, std::size_t size, std::uint8_t version, const Statistics& statistics) noexcept {
    SET_VARSIZE(&stored, size);
    stored.version = version;
    stored.padding[0] = stored.padding[1] = stored.padding[2] = 0;
    stored.statistics = statistics;
}

}  // namespace

void store(StoredStatistics& stored, const Statistics& statistics) noexcept {
    store_as(stored, sizeof stored, kVersionWithoutSketch, statistics);
}

void* new_stored(const Statistics& statistics, std::span<const Bin> bins) {
    const std::size_t size = sizeof(StoredStatistics) + size_of_bytes(bins);
    auto* stored = static_cast<StoredStatistics*>(palloc(size));
    store_as(*stored, size, kVersionWithSketch, statistics);
    write_bytes(bins, reinterpret_cast<std::uint8_t*>(stored + 1));
    return stored;
}

Datum stored_sum(const Datum* found, const Statistics& further, const std::span<const Bin>* bins) {
    Statistics sum = further;
    Sketch sketch;
    if (found != nullptr) {
        const FoundSummary before = find_summary(*found);
        if (!before.is_known) return 0;
        sum = before.statistics;
        merge(sum, further);
        if (!before.has_sketch) bins = nullptr;
        if (bins != nullptr) {
            sketch.room = most_bins_in(before.sketch_size) + static_cast<std::uint32_t>(bins->size());
            sketch.bins = static_cast<Bin*>(palloc(sizeof(Bin) * sketch.room));
            const std::optional<std::uint32_t> size = read_bytes({before.sketch_bytes, before.sketch_size}, sketch.bins);
            if (!size) return 0;
            sketch.size = *size;
            merge(sketch, *bins);
        }
    }
    if (bins != nullptr) return PointerGetDatum(new_stored(sum, found != nullptr ? bins_of(sketch) : *bins));
    auto* stored = static_cast<StoredStatistics*>(palloc(sizeof(StoredStatistics)));
    store(*stored, sum);
    return PointerGetDatum(stored);
}

FoundSummary find_summary(Datum value) {
    const std::string_view bytes = postgres::view_of(value);
    FoundSummary found{};
    constexpr std::size_t kFixedSize = sizeof(StoredStatistics) - VARHDRSZ;
    if (bytes.size() < kFixedSize) return found;
    const auto version = static_cast<std::uint8_t>(bytes[0]);
    found.has_sketch = version == kVersionWithSketch;
    found.is_known =
        found.has_sketch ? bytes.size() > kFixedSize : version == kVersionWithoutSketch && bytes.size() == kFixedSize;
    memcpy(&found.statistics, bytes.data() + kFixedSize - sizeof(Statistics), sizeof(Statistics));
    if (found.statistics.count <= 0) found.is_known = false;
    found.sketch_bytes = reinterpret_cast<const std::uint8_t*>(bytes.data()) + kFixedSize;
    found.sketch_size = bytes.size() - kFixedSize;
    return found;
}

}  // namespace summary
