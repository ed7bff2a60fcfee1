// The text form of a snapshot is the server's, and the parser takes nothing else.
#include "model/snapshot_text.hpp"

#include <limits>
#include <string>

#include <gtest/gtest.h>

namespace {

using model::parse_snapshot;
using model::Xid;

TEST(SnapshotText, IsThatOfTheServer) {
    EXPECT_EQ(model::to_text({Xid{10}, Xid{20}, {Xid{10}, Xid{14}, Xid{15}}}), "10:20:10,14,15");  // as in PostgreSQL's manual
    EXPECT_EQ(model::to_text({Xid{3}, Xid{3}, {}}), "3:3:");
    constexpr Xid kLast{std::numeric_limits<std::uint64_t>::max()};
    EXPECT_EQ(model::to_text({kLast, kLast, {}}), "18446744073709551615:18446744073709551615:");
}

TEST(SnapshotText, ReadsBack) {
    for (const std::string text : {"10:20:10,14,15", "3:3:", "0:1:0", "18446744073709551615:18446744073709551615:"}) {
        const auto snapshot = parse_snapshot(text);
        ASSERT_TRUE(snapshot) << text;
        EXPECT_EQ(model::to_text(*snapshot), text);
    }
}

TEST(SnapshotText, RefusesOtherTexts) {
    for (const std::string text : {"",
                                   ":",
                                   "::",
                                   "10",
                                   "10:",
                                   "10:20",
                                   ":20:",
                                   "10::",
                                   " 10:20:",
                                   "10:20: ",
                                   "10:20:,",
                                   "10:20:12,",
                                   "10:20:12 ",
                                   "10:20:,12",
                                   "10:20:12,,13",
                                   "10:20:12;13",
                                   "10:20:+12",
                                   "10:20:-1",
                                   "10:20:x",
                                   "10:20:12x",
                                   "0x10:20:",
                                   "20:10:",
                                   "10:20:9",
                                   "10:20:20",
                                   "10:20:13,12",
                                   "10:20:12,12",
                                   "10:18446744073709551616:",
                                   "10:20:99999999999999999999"}) {
        EXPECT_FALSE(parse_snapshot(text)) << text;
    }
}

}  // namespace
