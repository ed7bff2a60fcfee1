// The stored form of a sketch: for each bin, ascending, the distance of its number and its count, as varints.
//
// The number of the first bin stands there itself: a number n >= 0 as 2n, a negative one as -2n - 1. A later one stands as its
// distance from the bin before. Each sketch has exactly one form, and the reader refuses any other bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "summary/sketch.hpp"

namespace summary {

// Counts the bytes that the bins take.
std::size_t size_of_bytes(std::span<const Bin> bins) noexcept;

// Writes that many bytes, and returns where they end.
std::uint8_t* write_bytes(std::span<const Bin> bins, std::uint8_t* bytes) noexcept;

// Each bin has two bytes at least, so no sketch in the bytes has more bins.
std::uint32_t most_bins_in(std::size_t byte_count) noexcept;

// Reads the bins into memory that has room for most_bins_in(bytes.size()), and returns how many they are. Nothing: the bytes
// are not the form of a sketch. Whether the sketch is consistent is not checked.
std::optional<std::uint32_t> read_bytes(std::span<const std::uint8_t> bytes, Bin* bins) noexcept;

// Does the same with memory of its own.
std::optional<std::vector<Bin>> bins_from(std::span<const std::uint8_t> bytes);

}  // namespace summary
