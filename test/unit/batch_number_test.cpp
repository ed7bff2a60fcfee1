// Numbers of batches are consecutive in an epoch, and greater in a later one.
#include "model/batch_number.hpp"

#include <gtest/gtest.h>

namespace {

using model::BatchId;
using model::Epoch;
using model::next_batch;

TEST(BatchNumber, IsConsecutiveFromOne) {
    EXPECT_EQ(next_batch(BatchId{0}, Epoch{1}), BatchId{1});
    EXPECT_EQ(next_batch(BatchId{1}, Epoch{1}), BatchId{2});
    EXPECT_EQ(next_batch(BatchId{1'000'000'000}, Epoch{1}), BatchId{1'000'000'001});
}

// 1099511627776 is 2^40.
TEST(BatchNumber, OfALaterEpochIsGreaterThanAnyOfAnEarlierOne) {
    EXPECT_EQ(next_batch(BatchId{17}, Epoch{2}), BatchId{1099511627777});
    EXPECT_EQ(next_batch(BatchId{1099511627777}, Epoch{2}), BatchId{1099511627778});
    EXPECT_EQ(next_batch(BatchId{1099511627778}, Epoch{4}), BatchId{3 * 1099511627776 + 1});
}

// A log may hold batches of an epoch that was lost, because a restore took the rows from another copy.
TEST(BatchNumber, NeverGoesBack) {
    EXPECT_EQ(next_batch(BatchId{5 * 1099511627776}, Epoch{2}), BatchId{5 * 1099511627776 + 1});
}

TEST(BatchNumber, IsExactInADouble) {
    const auto number = next_batch(BatchId{0}, Epoch{8192}).value;
    EXPECT_EQ(static_cast<std::int64_t>(static_cast<double>(number)), number);
}

}  // namespace
