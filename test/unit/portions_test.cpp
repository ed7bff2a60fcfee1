// A projection that has nearly caught up gets portions that take some milliseconds, unless they do not keep pace.
#include "projection/portions.hpp"

#include <gtest/gtest.h>

namespace {

using projection::kFirstPortion;
using projection::kPortionTime;
using projection::Portions;

constexpr std::int64_t kSlice = 100'000;

TEST(Portions, BeginSmall) {
    const Portions portions;
    EXPECT_EQ(portions.portion_of("p", 20'000, kSlice), kFirstPortion);
    EXPECT_EQ(portions.portion_of("p", 0, kSlice), kFirstPortion);
}

TEST(Portions, AreNotMadeOfMuch) {
    const Portions portions;
    EXPECT_EQ(portions.portion_of("p", kSlice / 4, kSlice), kFirstPortion);
    EXPECT_FALSE(portions.portion_of("p", kSlice / 4 + 1, kSlice));
}

TEST(Portions, StayWithinASmallSlice) {
    const Portions portions;
    EXPECT_EQ(portions.portion_of("p", 10, 100), 25);
    EXPECT_EQ(portions.portion_of("p", 0, 1), 1);
}

// Serves the projection until it has caught up. A pass takes `fixed` and for each event `each` microseconds, and `arriving`
// events come in each of them. Returns how many passes it took, and the last portion.
struct Served {
    int portions = 0, large = 0;
    std::int64_t last_portion = 0;
};
Served serve(Portions& portions, std::int64_t waiting, double fixed, double each, double arriving) {
    Served made;
    double waits = static_cast<double>(waiting);
    for (bool has_caught_up = false; !has_caught_up && made.portions + made.large < 1000;) {
        const auto now = static_cast<std::int64_t>(waits);
        const auto portion = portions.portion_of("p", now, kSlice);
        const std::int64_t events = std::min(portion.value_or(now), now);
        ++(portion ? made.portions : made.large);
        made.last_portion = portion.value_or(0);
        has_caught_up = events == now;
        const double time = fixed + each * static_cast<double>(events);
        portions.has_served("p", now, events, static_cast<std::int64_t>(time));
        waits += arriving * time - static_cast<double>(events);
    }
    return made;
}

TEST(Portions, TakeTheirTime) {
    Portions portions;
    serve(portions, 20'000, 1000, 4, 0);
    const Served later = serve(portions, 20'000, 1000, 4, 0);
    EXPECT_EQ(later.large, 0);
    EXPECT_NEAR(static_cast<double>(later.portions), 20'000 / 1000.0, 2);  // 1000 events take 5 ms
    const auto portion = portions.portion_of("p", 20'000, kSlice);
    EXPECT_NEAR(1000 + 4 * static_cast<double>(*portion), kPortionTime, 0.1 * kPortionTime);
}

TEST(Portions, OfASlowProjectionStaySmall) {
    Portions portions;
    const Served slow = serve(portions, 3000, 1000, 1000, 0);
    EXPECT_EQ(slow.last_portion, kFirstPortion);
    EXPECT_EQ(slow.portions, 10);
}

TEST(Portions, OfAFastProjectionGrowToAQuarterOfASlice) {
    Portions portions;
    for (int i = 0; i < 4; ++i) serve(portions, 20'000, 10, 0.01, 0);
    EXPECT_EQ(portions.portion_of("p", 20'000, kSlice), kSlice / 4);
}

TEST(Portions, DoNotLearnFromPassesThatFoundLittle) {
    Portions portions;
    serve(portions, 20'000, 1000, 4, 0);
    const auto before = portions.portion_of("p", 20'000, kSlice);
    portions.has_served("p", 10, 10, 1000);
    EXPECT_EQ(portions.portion_of("p", 20'000, kSlice), before);
    portions.has_served("p", 10, 10, 2 * kPortionTime);
    EXPECT_EQ(portions.portion_of("p", 20'000, kSlice), kFirstPortion);
}

TEST(Portions, OfOneProjectionSayNothingAboutAnother) {
    Portions portions;
    serve(portions, 20'000, 10, 0.01, 0);
    EXPECT_EQ(portions.portion_of("other", 20'000, kSlice), kFirstPortion);
}

TEST(Portions, GiveWayToALargePassThatKeepsPace) {
    Portions portions;
    portions.has_served("p", 10'000, 300, 5000);
    EXPECT_TRUE(portions.portion_of("p", 9'999, kSlice));
    EXPECT_FALSE(portions.portion_of("p", 10'000, kSlice));
    portions.has_served("p", 10'000, 10'000, 50'000);  // it has caught up
    EXPECT_TRUE(portions.portion_of("p", 10'000, kSlice));
}

// 0.24 events a microsecond come. A portion consumes less than that in its time, because of its fixed cost.
TEST(Portions, NeverLetAProjectionStayBehind) {
    Portions portions;
    const Served made = serve(portions, 20'000, 3000, 0.4, 0.24);
    EXPECT_LT(made.portions + made.large, 1000);
    EXPECT_GT(made.large, 0);
}

}  // namespace
