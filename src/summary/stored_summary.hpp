// The form of a telemetry.summary on disk and in memory: a varlena of its own that begins with its version.
#pragma once

#include <cstdint>

#include "summary/statistics.hpp"

#include "postgres/pg.hpp"

namespace summary {

inline constexpr std::uint8_t kStoredVersion = 1;

// For TC302 of a stored value.
inline constexpr const char* kCorruptSummaryDetail = "The stored value is not one that this version of the extension writes.";
inline constexpr const char* kCorruptSummaryHint =
    "Install the library that wrote the value if that is a later one; otherwise restore the row from a backup.";

// The type is declared STORAGE plain and ALIGNMENT double. So a value always has a header of four bytes, and lies aligned in a
// row.
struct StoredSummary {
    std::int32_t header;
    std::uint8_t version;
    std::uint8_t padding[3];
    Statistics statistics;
};
static_assert(sizeof(StoredSummary) == 80 && alignof(StoredSummary) == 8);

inline void store(StoredSummary& stored, const Statistics& statistics) noexcept {
    SET_VARSIZE(&stored, sizeof stored);
    stored.version = kStoredVersion;
    stored.padding[0] = stored.padding[1] = stored.padding[2] = 0;
    stored.statistics = statistics;
}

// Null: the bytes are not a summary of a known version.
inline const Statistics* find_statistics(const void* bytes) noexcept {
    const auto* stored = static_cast<const StoredSummary*>(bytes);
    if (VARSIZE(stored) != sizeof *stored || stored->version != kStoredVersion) return nullptr;
    return &stored->statistics;
}

}  // namespace summary
