// A quantile sketch: DDSketch of Masson, Rim and Lee (VLDB 2019), with a relative accuracy of 1 %.
//
// The bin i of the positive values holds those in (gamma^(i-1), gamma^i], where gamma = 1.01 / 0.99. A negative value lies in
// the bin of its magnitude. Zero has a bin of its own. Each value of a bin differs by at most 1 % from the bin's middle. Below
// 2.2e-308 double precision is coarser than that.
//
// A sketch has at most kMaxBins bins. When it needs more, the bins of the least magnitude count as zeros. These values lie
// nearer to zero than each of kMaxBins - 1 other bins. So the bins are a function of the values alone: no order of adding and
// merging shows in them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace summary {

// A bin is numbered so that bins ascend as their values do: kZeroBin, above it the positive bins, below it the negative ones.
using BinNumber = std::int32_t;
inline constexpr BinNumber kZeroBin = 0;
inline constexpr std::uint32_t kMaxBins = 2048;

// The exponents of the least and the greatest double are -37,220 and 35,488. On another machine the logarithm may round
// otherwise, so a few more are allowed.
inline constexpr std::int32_t kLeastExponent = -37225;
inline constexpr std::int32_t kGreatestExponent = 35493;
inline constexpr BinNumber kGreatestNumber = kGreatestExponent - kLeastExponent + 1;

struct Bin {
    BinNumber number;
    std::int64_t count;  // > 0
};

// The bins ascend by number. Their memory belongs to the caller, who makes room before a change.
struct Sketch {
    Bin* bins = nullptr;
    std::uint32_t size = 0;
    std::uint32_t room = 0;  // as many bins fit into the memory
};

inline std::span<const Bin> bins_of(const Sketch& sketch) noexcept {
    return {sketch.bins, sketch.size};
}

// The exponent i in gamma^i, which DDSketch calls the index. Each bin but kZeroBin has one.
BinNumber positive_bin(std::int32_t exponent) noexcept;
BinNumber negative_bin(std::int32_t exponent) noexcept;
std::int32_t exponent_of(BinNumber bin) noexcept;
bool is_exponent(std::int64_t exponent) noexcept;
constexpr bool is_bin(std::int64_t number) noexcept {
    return -kGreatestNumber <= number && number <= kGreatestNumber;
}

BinNumber bin_of(double value) noexcept;  // value is finite
double middle_of(BinNumber bin) noexcept;

// Adds a finite value. The sketch has room for one more bin, or has kMaxBins + 1.
inline constexpr std::uint32_t kMaxRoomToAdd = kMaxBins + 1;
void add(Sketch& sketch, double value) noexcept;

// Adds the bins of another sketch. `into` has room for the bins of both.
void merge(Sketch& into, std::span<const Bin> from) noexcept;

// Could these bins be a sketch of `count` values? This checks text and bytes that come from outside.
bool is_consistent(std::span<const Bin> bins, std::int64_t count) noexcept;

// The middle of the bin that holds the value of rank `rank`; the least value has rank 1. Nothing: there are fewer values.
std::optional<double> value_at_rank(std::span<const Bin> bins, std::int64_t rank) noexcept;

}  // namespace summary
