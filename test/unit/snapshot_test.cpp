// The snapshot arithmetic agrees with examples worked out by hand.
#include "model/snapshot.hpp"

#include <cstdint>
#include <initializer_list>
#include <vector>

#include <gtest/gtest.h>

#include "print_snapshot.hpp"

namespace {

using model::Partial;
using model::Position;
using model::position_after;
using model::position_at;
using model::Snapshot;
using model::window_between;
using model::Xid;

std::vector<Xid> xids(std::initializer_list<std::uint64_t> values) {
    std::vector<Xid> list;
    for (const auto value : values) list.push_back({value});
    return list;
}

Snapshot snapshot(std::uint64_t xmin, std::uint64_t xmax, std::initializer_list<std::uint64_t> in_progress = {}) {
    return {.xmin = {xmin}, .xmax = {xmax}, .in_progress = xids(in_progress)};
}

Partial partial(std::uint64_t xid, std::int64_t event_id) {
    return {.xid = {xid}, .event_id = {event_id}};
}

TEST(Snapshot, CoversWhatWasOver) {
    const auto s = snapshot(10, 20, {10, 15});
    EXPECT_TRUE(s.covers({9}));
    EXPECT_FALSE(s.covers({10}));
    EXPECT_TRUE(s.covers({11}));
    EXPECT_FALSE(s.covers({15}));
    EXPECT_TRUE(s.covers({19}));
    EXPECT_FALSE(s.covers({20}));
    EXPECT_FALSE(s.covers({21}));
    EXPECT_FALSE(snapshot(7, 7).covers({7}));
    EXPECT_TRUE(snapshot(7, 7).covers({6}));
}

TEST(Window, IsStragglersAndTheRangeBehind) {
    const auto window = window_between({snapshot(10, 20, {10, 12, 15}), {}}, snapshot(12, 30, {12, 25}));
    EXPECT_EQ(window.resume, std::nullopt);
    EXPECT_EQ(window.stragglers, xids({10, 15}));
    EXPECT_EQ(window.first, Xid{20});
    EXPECT_EQ(window.last, Xid{30});
    EXPECT_EQ(window.in_progress, xids({25}));
    EXPECT_EQ(window.until, std::nullopt);
}

TEST(Window, IsEmptyBetweenEqualSnapshots) {
    const auto s = snapshot(10, 20, {10, 12});
    const auto window = window_between(position_at(s), s);
    EXPECT_TRUE(window.stragglers.empty());
    EXPECT_EQ(window.first, window.last);
}

TEST(Window, ReadsTheCutTransactionFirst) {
    // The slice cut 15. Since then 10, which is below it, has ended.
    const auto straggler = window_between({snapshot(10, 20, {10, 12, 15}), partial(15, 100)}, snapshot(12, 30, {12}));
    EXPECT_EQ(straggler.resume, partial(15, 100));
    EXPECT_EQ(straggler.stragglers, xids({10}));
    EXPECT_EQ(straggler.first, Xid{20});

    const auto in_range = window_between({snapshot(10, 20, {10}), partial(20, 100)}, snapshot(30, 30));
    EXPECT_EQ(in_range.resume, partial(20, 100));
    EXPECT_EQ(in_range.stragglers, xids({10}));
    EXPECT_EQ(in_range.first, Xid{21});
    EXPECT_EQ(in_range.last, Xid{30});

    // Nothing is after the cut one, so the range is empty and not reversed.
    const auto alone = window_between({snapshot(20, 20), partial(20, 100)}, snapshot(21, 21));
    EXPECT_EQ(alone.first, alone.last);
}

TEST(Window, BetweenPositionsEndsAtTheirCuts) {
    const auto window =
        window_between({snapshot(10, 20, {10}), partial(20, 7)}, Position{snapshot(25, 28, {25}), partial(28, 9)});
    EXPECT_EQ(window.resume, partial(20, 7));
    EXPECT_EQ(window.stragglers, xids({10}));
    EXPECT_EQ(window.first, Xid{21});
    EXPECT_EQ(window.last, Xid{28});
    EXPECT_EQ(window.in_progress, xids({25}));
    EXPECT_EQ(window.until, partial(28, 9));
}

TEST(PositionCovers, WhatItsSnapshotCoversAndAPart) {
    const Position position{snapshot(10, 20, {10, 12}), partial(12, 7)};
    EXPECT_TRUE(position.covers(Xid{11}, model::EventId{99}));
    EXPECT_FALSE(position.covers(Xid{10}, model::EventId{1}));
    EXPECT_FALSE(position.covers(Xid{20}, model::EventId{1}));
    EXPECT_TRUE(position.covers(Xid{12}, model::EventId{7}));
    EXPECT_FALSE(position.covers(Xid{12}, model::EventId{8}));
}

TEST(PositionAfter, InTheRange) {
    const Position from{snapshot(10, 20, {10, 12}), {}};
    const auto far_end = snapshot(12, 40, {12, 22, 30});
    EXPECT_EQ(position_after(from, far_end, partial(25, 5), true), (Position{snapshot(12, 26, {12, 22}), {}}));
    EXPECT_EQ(position_after(from, far_end, partial(25, 5), false), (Position{snapshot(12, 25, {12, 22}), partial(25, 5)}));
    EXPECT_EQ(position_after(from, far_end, partial(20, 5), true), (Position{snapshot(12, 21, {12}), {}}));
    EXPECT_EQ(position_after(from, far_end, partial(20, 5), false), (Position{snapshot(12, 20, {12}), partial(20, 5)}));
    EXPECT_EQ(position_after(from, far_end, partial(39, 5), true), (Position{far_end, {}}));
}

TEST(PositionAfter, AtAStraggler) {
    const Position from{snapshot(10, 20, {10, 12, 14, 16}), {}};
    const auto far_end = snapshot(12, 40, {12, 22});
    EXPECT_EQ(position_after(from, far_end, partial(10, 5), true), (Position{snapshot(12, 20, {12, 14, 16}), {}}));
    EXPECT_EQ(position_after(from, far_end, partial(10, 5), false),
              (Position{snapshot(10, 20, {10, 12, 14, 16}), partial(10, 5)}));
    EXPECT_EQ(position_after(from, far_end, partial(14, 5), true), (Position{snapshot(12, 20, {12, 16}), {}}));
    EXPECT_EQ(position_after(from, far_end, partial(14, 5), false), (Position{snapshot(12, 20, {12, 14, 16}), partial(14, 5)}));
    const auto all_over = snapshot(40, 40);
    EXPECT_EQ(position_after(from, all_over, partial(16, 5), true), (Position{snapshot(20, 20), {}}));
}

TEST(PositionAfter, ResumingACutTransaction) {
    const auto far_end = snapshot(40, 40);
    const Position straggler{snapshot(10, 20, {10, 14, 16}), partial(14, 5)};
    // The position is still inside it, so the stragglers below have not been read yet.
    EXPECT_EQ(position_after(straggler, far_end, partial(14, 6), false),
              (Position{snapshot(10, 20, {10, 14, 16}), partial(14, 6)}));
    EXPECT_EQ(position_after(straggler, far_end, partial(14, 6), true), (Position{snapshot(10, 20, {10, 16}), {}}));
    // The position is past it, in the straggler below. One transaction is cut, not two.
    EXPECT_EQ(position_after(straggler, far_end, partial(10, 6), false),
              (Position{snapshot(10, 20, {10, 16}), partial(10, 6)}));
    EXPECT_EQ(position_after(straggler, far_end, partial(16, 6), false), (Position{snapshot(16, 20, {16}), partial(16, 6)}));
    EXPECT_EQ(position_after(straggler, far_end, partial(30, 6), true), (Position{snapshot(31, 31), {}}));

    const Position in_range{snapshot(10, 20, {10}), partial(20, 5)};
    EXPECT_EQ(position_after(in_range, far_end, partial(20, 6), false), (Position{snapshot(10, 20, {10}), partial(20, 6)}));
    EXPECT_EQ(position_after(in_range, far_end, partial(20, 6), true), (Position{snapshot(10, 21, {10}), {}}));
    EXPECT_EQ(position_after(in_range, far_end, partial(10, 6), false), (Position{snapshot(10, 21, {10}), partial(10, 6)}));
    EXPECT_EQ(position_after(in_range, far_end, partial(10, 6), true), (Position{snapshot(21, 21), {}}));
    EXPECT_EQ(position_after(in_range, far_end, partial(21, 6), false), (Position{snapshot(21, 21), partial(21, 6)}));
}

TEST(PositionAt, IsTheSnapshotItself) {
    EXPECT_EQ(position_at(snapshot(10, 20, {10, 12})), (Position{snapshot(10, 20, {10, 12}), {}}));
    // A server's xmin may be lower than its first running transaction.
    EXPECT_EQ(position_at(snapshot(5, 20, {10, 12})), (Position{snapshot(10, 20, {10, 12}), {}}));
    EXPECT_EQ(position_at(snapshot(5, 20)), (Position{snapshot(20, 20), {}}));
}

}  // namespace
