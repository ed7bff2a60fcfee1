// The resets of a counter are those of its readings in order of time, however they come and in which pieces. Expected values
// come from the definition, reading by reading.
#include "summary/counter.hpp"

#include <algorithm>
#include <limits>
#include <random>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

namespace {

using summary::Counter;
using summary::CounterPiece;
using summary::Point;
using summary::Statistics;

struct Grown {
    double increase = 0;
    std::int64_t resets = 0;
};

Grown by_definition(std::vector<Point> points) {
    std::ranges::sort(points, [](const Point& a, const Point& b) { return std::tie(a.at, a.value) < std::tie(b.at, b.value); });
    Grown grown;
    for (std::size_t i = 1; i < points.size(); ++i) {
        const bool falls = points[i].value < points[i - 1].value;
        grown.increase += falls ? points[i].value : points[i].value - points[i - 1].value;
        grown.resets += falls ? 1 : 0;
    }
    return grown;
}

Statistics statistics_of(const std::vector<Point>& points) {
    Statistics statistics;
    for (const Point& point : points) summary::add(statistics, point.value, point.at);
    return statistics;
}

CounterPiece piece_of(std::vector<Point> points) {
    return summary::piece_of(statistics_of(points), summary::counter_of(points));
}

void expect_grown(const std::vector<Point>& points, const Counter& counter) {
    const Grown expected = by_definition(points);
    EXPECT_FALSE(counter.overlaps);
    EXPECT_EQ(counter.resets, expected.resets);
    EXPECT_EQ(summary::increase(statistics_of(points), counter), expected.increase);
    EXPECT_TRUE(summary::is_consistent(statistics_of(points), counter));
}

// Whole numbers, so that sums are exact.
std::vector<Point> random_readings(std::mt19937_64& random) {
    std::vector<Point> points;
    double value = 0;
    for (auto left = 1 + random() % 30; left > 0; --left) {
        value = random() % 5 == 0 ? static_cast<double>(random() % 4) : value + static_cast<double>(random() % 10);
        points.push_back({value, static_cast<model::Micros>(random() % 40)});
    }
    return points;
}

TEST(Counter, OfAFewReadings) {
    expect_grown({{5, 1}}, {});
    expect_grown({{5, 1}, {9, 2}}, {});
    std::vector<Point> reset = {{5, 1}, {9, 2}, {3, 3}, {4, 4}};
    const Counter counter = summary::counter_of(reset);
    EXPECT_EQ(counter.resets, 1);
    EXPECT_EQ(counter.fallen_from, 9);
    EXPECT_EQ(summary::increase(statistics_of(reset), counter), 4 + 3 + 1);
}

TEST(Counter, TheGreaterValueOfOneTimeIsTheLater) {
    std::vector<Point> points = {{7, 2}, {5, 2}, {6, 1}};
    const Counter counter = summary::counter_of(points);  // 6, 5, 7
    EXPECT_EQ(counter.resets, 1);
    EXPECT_EQ(summary::increase(statistics_of(points), counter), 5 + 2);
}

TEST(Counter, NoOrderOfArrivalShows) {
    std::mt19937_64 random(31);
    for (int round = 0; round < 3000; ++round) {
        auto points = random_readings(random);
        std::ranges::shuffle(points, random);
        auto sorted = points;
        expect_grown(points, summary::counter_of(sorted));
    }
}

TEST(Counter, PiecesInARowAreTheWhole) {
    std::mt19937_64 random(32);
    for (int round = 0; round < 3000; ++round) {
        auto points = random_readings(random);
        summary::counter_of(points);  // sorts them
        std::vector<CounterPiece> pieces;
        for (std::size_t from = 0; from < points.size();) {
            const auto to = std::min(points.size(), from + 1 + random() % 6);
            pieces.push_back(piece_of(
                {points.begin() + static_cast<std::ptrdiff_t>(from), points.begin() + static_cast<std::ptrdiff_t>(to)}));
            from = to;
        }
        std::ranges::shuffle(pieces, random);
        expect_grown(points, summary::joined(pieces));
    }
}

TEST(Counter, OfPiecesThatOverlapNothingIsKnown) {
    CounterPiece pieces[] = {piece_of({{1, 1}, {5, 5}}), piece_of({{2, 2}, {1, 3}, {6, 6}}), piece_of({{1, 7}})};
    const Counter counter = summary::joined(pieces);
    EXPECT_TRUE(counter.overlaps);
    EXPECT_EQ(counter.resets, 2);  // one inside a piece, and one between the last two
    EXPECT_EQ(summary::increase(statistics_of({{1, 1}, {1, 7}}), counter), std::nullopt);
    // It stays so.
    CounterPiece more[] = {pieces[0], piece_of({{9, 9}})};
    more[0].counter = counter;
    EXPECT_TRUE(summary::joined(more).overlaps);
}

TEST(Counter, BeyondDoublePrecisionNothingIsKnown) {
    constexpr double kGreatest = std::numeric_limits<double>::max();
    std::vector<Point> points;
    for (model::Micros at = 0; at < 10; ++at) points.push_back({at % 2 == 0 ? kGreatest : 1, at});
    const Counter counter = summary::counter_of(points);
    EXPECT_EQ(counter.resets, 5);
    EXPECT_EQ(counter.fallen_from, kGreatest);
    EXPECT_TRUE(summary::is_consistent(statistics_of(points), counter));
    points.push_back({kGreatest, 10});
    EXPECT_EQ(summary::increase(statistics_of(points), summary::counter_of(points)), kGreatest);
    points.push_back({-kGreatest, -1});
    EXPECT_EQ(summary::increase(statistics_of(points), summary::counter_of(points)), std::nullopt);
}

}  // namespace
