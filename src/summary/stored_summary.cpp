// Makes values of the server from summaries, and finds the parts of such values.
#include "summary/stored_summary.hpp"

#include <cstdint>
#include <optional>

#include "postgres/text.hpp"
#include "summary/sketch_bytes.hpp"

#include "postgres/pg.hpp"

namespace summary {

namespace {

// A new value with room for a sketch of that many bytes, which begins at `sketch`. There is none if that is null.
Datum new_value(const Statistics& statistics, const Counter* counter, std::size_t sketch_size, std::uint8_t** sketch) {
    std::uint8_t head[kMostStatisticsBytes];
    const auto head_size = static_cast<std::size_t>(write_statistics(statistics, counter, sketch != nullptr, head) - head);
    const std::size_t size = VARHDRSZ + head_size + sketch_size;
    auto* stored = static_cast<char*>(palloc(size));
    SET_VARSIZE(stored, size);
    memcpy(stored + VARHDRSZ, head, head_size);
    if (sketch != nullptr) *sketch = reinterpret_cast<std::uint8_t*>(stored) + VARHDRSZ + head_size;
    return PointerGetDatum(stored);
}

}  // namespace

Datum new_stored(const Parts& parts) {
    if (parts.bins == nullptr) return new_value(parts.statistics, parts.counter, 0, nullptr);
    std::uint8_t* sketch;
    const Datum stored = new_value(parts.statistics, parts.counter, size_of_bytes(*parts.bins), &sketch);
    write_bytes(*parts.bins, sketch);
    return stored;
}

Datum with_counter(const FoundSummary& found, const Counter& counter) {
    if (!found.has_sketch) return new_value(found.statistics, &counter, 0, nullptr);
    std::uint8_t* sketch;
    const Datum stored = new_value(found.statistics, &counter, found.sketch_bytes.size(), &sketch);
    memcpy(sketch, found.sketch_bytes.data(), found.sketch_bytes.size());
    return stored;
}

Datum stored_sum(Datum found, const Parts& further) {
    const FoundSummary before = find_summary(found);
    if (!before.is_known) return 0;
    Statistics sum = before.statistics;
    merge(sum, further.statistics);
    Counter counter;
    const bool is_counter = before.is_counter && further.counter != nullptr;
    if (is_counter) {
        CounterPiece pieces[] = {piece_of(before.statistics, before.counter), piece_of(further.statistics, *further.counter)};
        counter = joined(pieces);
    }
    const Counter* counter_or_none = is_counter ? &counter : nullptr;
    if (!before.has_sketch || further.bins == nullptr) return new_stored({sum, counter_or_none, nullptr});
    Sketch sketch;
    sketch.room = most_bins_in(before.sketch_bytes.size()) + static_cast<std::uint32_t>(further.bins->size());
    sketch.bins = static_cast<Bin*>(palloc(sizeof(Bin) * sketch.room));
    const std::optional<std::uint32_t> size = read_bytes(before.sketch_bytes, sketch.bins);
    if (!size) return 0;
    sketch.size = *size;
    merge(sketch, *further.bins);
    const std::span<const Bin> merged = bins_of(sketch);
    return new_stored({sum, counter_or_none, &merged});
}

FoundSummary find_summary(Datum value) {
    const std::string_view bytes = postgres::view_of(value);
    return find_parts({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
}

}  // namespace summary
