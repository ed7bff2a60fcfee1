// The stored form of a summary, after the server's header. A summary of one value takes 19 bytes, and one of several values as
// many more as its members need that do not follow from others.
//
//   bytes     what they are                        left out where it is
//   1         the version of this form, 3
//   1         flags: what is not left out
//   1 to 10   count, as a varint
//   8         first_at
//   8         first_value
//   1 to 10   last_at - first_at, as a varint      0
//   8         last_value                           first_value
//   8         min                                  the lesser of first_value and last_value
//   8         max                                  the greater of the two
//   8         mean                                 that of the two values min and max
//   8         M2                                   that of the two values min and max
//   1 to 10   2 * resets of a counter, as a        not there: it is no counter
//             varint; 1 more if it overlaps
//   8         fallen_from                          there are no resets
//   the rest  the sketch (sketch_bytes.hpp)        not there
//
// A member is left out only where the reader finds it bit for bit. Numbers have the byte order of the machine, and nothing is
// aligned.
//
// Version 1.0 stored other bytes, which are read but not written: the version 1, three zeros, and the struct Statistics.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "summary/counter.hpp"
#include "summary/statistics.hpp"

namespace summary {

// The bytes before a sketch are no more than these.
inline constexpr std::size_t kMostStatisticsBytes = 2 + 3 * 10 + 8 * 8;

// Writes everything but the sketch, and returns where it ends. `counter` is null for one that is no counter.
std::uint8_t* write_statistics(const Statistics& statistics, const Counter* counter, bool has_sketch,
                               std::uint8_t* bytes) noexcept;

// The parts of a stored summary.
struct FoundSummary {
    bool is_known = false;  // false: the bytes are not a summary of a known version, and nothing else means anything
    bool is_counter = false;
    bool has_sketch = false;
    Statistics statistics{};
    Counter counter{};
    std::span<const std::uint8_t> sketch_bytes{};
};
FoundSummary find_parts(std::span<const std::uint8_t> bytes) noexcept;

}  // namespace summary
