// The form of a telemetry.summary on disk and in memory: a varlena of its own.
//
//   bytes   version 1                            version 2
//   0-3     the server's header                  the same
//   4       1                                    2
//   5-7     0                                    0
//   8-79    the statistics, as the struct has    the same
//   80-                                          the bins of the sketch (sketch_bytes.hpp)
//
// The type is declared STORAGE extended. So a value may be compressed, lie in a TOAST table, or have a header of one byte and
// then no alignment.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "postgres/types.hpp"
#include "summary/sketch.hpp"
#include "summary/summary.hpp"

namespace summary {

// For TC302 of a stored value.
inline constexpr const char* kCorruptSummaryDetail = "The stored value is not one that this version of the extension writes.";
inline constexpr const char* kCorruptSummaryHint =
    "Install the library that wrote the value if that is a later one; otherwise restore the row from a backup.";

// The part that both versions have; all of a summary without a sketch.
struct StoredStatistics {
    std::int32_t header;
    std::uint8_t version;
    std::uint8_t padding[3];
    Statistics statistics;
};
static_assert(sizeof(StoredStatistics) == 80 && alignof(StoredStatistics) == 8);

// Makes `stored` a summary without a sketch.
void store(StoredStatistics& stored, const Statistics& statistics) noexcept;

// P. A new summary with a sketch, in the current memory context.
void* new_stored(const Statistics& statistics, std::span<const Bin> bins);

// P. The stored summary of the values of `found` and of further ones, in the current memory context. `found` is null where
// there are no others. `bins` is null for a summary without a sketch; it has none either if `found` has none. 0: `found` is
// corrupt.
Datum stored_sum(const Datum* found, const Statistics& further, const std::span<const Bin>* bins);

// The parts of a stored summary.
struct FoundSummary {
    bool is_known;  // false: the bytes are not a summary of a known version, and nothing else is set
    bool has_sketch;
    Statistics statistics;
    const std::uint8_t* sketch_bytes;  // live as long as the value
    std::size_t sketch_size;
};

// P. The value is not NULL. It is detoasted where needed, in the current memory context.
FoundSummary find_summary(Datum value);

}  // namespace summary
