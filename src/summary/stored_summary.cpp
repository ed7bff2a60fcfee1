// Makes values of the server from summaries, and finds the parts of such values.
#include "summary/stored_summary.hpp"

#include <cstdint>
#include <optional>

#include "postgres/text.hpp"
#include "summary/sketch_bytes.hpp"

#include "postgres/pg.hpp"

namespace summary {

Datum new_stored(const Statistics& statistics, const std::span<const Bin>* bins) {
    std::uint8_t head[kMostStatisticsBytes];
    const auto head_size = static_cast<std::size_t>(write_statistics(statistics, bins != nullptr, head) - head);
    const std::size_t size = VARHDRSZ + head_size + (bins != nullptr ? size_of_bytes(*bins) : 0);
    auto* stored = static_cast<char*>(palloc(size));
    SET_VARSIZE(stored, size);
    memcpy(stored + VARHDRSZ, head, head_size);
    if (bins != nullptr) write_bytes(*bins, reinterpret_cast<std::uint8_t*>(stored) + VARHDRSZ + head_size);
    return PointerGetDatum(stored);
}

Datum stored_sum(const Datum* found, const Statistics& further, const std::span<const Bin>* bins) {
    if (found == nullptr) return new_stored(further, bins);
    const FoundSummary before = find_summary(*found);
    if (!before.is_known) return 0;
    Statistics sum = before.statistics;
    merge(sum, further);
    if (!before.has_sketch || bins == nullptr) return new_stored(sum, nullptr);
    Sketch sketch;
    sketch.room = most_bins_in(before.sketch_bytes.size()) + static_cast<std::uint32_t>(bins->size());
    sketch.bins = static_cast<Bin*>(palloc(sizeof(Bin) * sketch.room));
    const std::optional<std::uint32_t> size = read_bytes(before.sketch_bytes, sketch.bins);
    if (!size) return 0;
    sketch.size = *size;
    merge(sketch, *bins);
    const std::span<const Bin> merged = bins_of(sketch);
    return new_stored(sum, &merged);
}

FoundSummary find_summary(Datum value) {
    const std::string_view bytes = postgres::view_of(value);
    return find_parts({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
}

}  // namespace summary
