// Compares statistics bit by bit, for the tests.
#pragma once

#include <bit>
#include <cstdint>

#include <gtest/gtest.h>

#include "summary/statistics.hpp"

inline void expect_same_bits(const summary::Statistics& a, const summary::Statistics& b) {
    EXPECT_EQ(a.count, b.count);
    EXPECT_EQ(std::bit_cast<std::uint64_t>(a.mean), std::bit_cast<std::uint64_t>(b.mean));
    EXPECT_EQ(std::bit_cast<std::uint64_t>(a.m2), std::bit_cast<std::uint64_t>(b.m2));
    EXPECT_EQ(std::bit_cast<std::uint64_t>(a.min), std::bit_cast<std::uint64_t>(b.min));
    EXPECT_EQ(std::bit_cast<std::uint64_t>(a.max), std::bit_cast<std::uint64_t>(b.max));
    EXPECT_EQ(std::bit_cast<std::uint64_t>(a.first_value), std::bit_cast<std::uint64_t>(b.first_value));
    EXPECT_EQ(std::bit_cast<std::uint64_t>(a.last_value), std::bit_cast<std::uint64_t>(b.last_value));
    EXPECT_EQ(a.first_at, b.first_at);
    EXPECT_EQ(a.last_at, b.last_at);
}
