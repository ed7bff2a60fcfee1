// A telemetry.summary as a value of the server: a varlena whose bytes summary_bytes.hpp describes.
//
// The type is declared STORAGE extended. So a value may be compressed, lie in a TOAST table, or have a header of one byte.
#pragma once

#include <span>

#include "postgres/types.hpp"
#include "summary/sketch.hpp"
#include "summary/summary_bytes.hpp"

namespace summary {

// For TC302 of a stored value.
inline constexpr const char* kCorruptSummaryDetail = "The stored value is not one that this version of the extension writes.";
inline constexpr const char* kCorruptSummaryHint =
    "Install the library that wrote the value if that is a later one; otherwise restore the row from a backup.";

// The parts of a summary, which belong to the caller.
struct Parts {
    const Statistics& statistics;
    const Counter* counter;            // null: it is no counter
    const std::span<const Bin>* bins;  // null: it has no sketch
};

// P. A new value, in the current memory context.
Datum new_stored(const Parts& parts);

// P. The same with another counter.
Datum with_counter(const FoundSummary& found, const Counter& counter);

// P. The stored summary of the values of `found` and of further ones, in the current memory context. It is a counter, and it
// has a sketch, if both are and have. 0: `found` is corrupt.
Datum stored_sum(Datum found, const Parts& further);

// P. The value is not NULL. It is detoasted where needed, in the current memory context. The bytes of the sketch live as long
// as the value.
FoundSummary find_summary(Datum value);

}  // namespace summary
