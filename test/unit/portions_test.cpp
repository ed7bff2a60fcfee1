// A projection that has nearly caught up gets portions that take some milliseconds, unless they do not keep pace.
#include "projection/portions.hpp"

#include <algorithm>
#include <optional>

#include <gtest/gtest.h>

namespace {

using projection::kFirstPortion;
using projection::kPortionTime;
using projection::Portions;

constexpr std::int64_t kSlice = 100'000;

// Serves a projection in a time of its own.
class Server {
public:
    std::optional<std::int64_t> portion(std::int64_t waiting, std::int64_t slice = kSlice) const {
        return portions_.portion_of("p", waiting, slice, now_);
    }

    void serve(std::int64_t events, bool keeps_up, double time) {
        const std::int64_t begun_at = now_;
        now_ += static_cast<std::int64_t>(time);
        portions_.has_served("p", events, keeps_up, begun_at, now_);
    }

    // Serves it until it has caught up, or a thousand times. A pass takes `fixed` and for each event `each` microseconds, and
    // `arriving` events come in each of them. Returns how many passes gave a portion, and how many did not.
    struct Passes {
        int portions = 0, large = 0;
    };
    Passes serve_all(std::int64_t waiting, double fixed, double each, double arriving) {
        Passes passes;
        for (bool keeps_up = false; !keeps_up && passes.portions + passes.large < 1000;) {
            const auto wanted = portion(waiting);
            const std::int64_t events = std::min(wanted.value_or(waiting), waiting);
            ++(wanted ? passes.portions : passes.large);
            keeps_up = events == waiting;
            const double time = fixed + each * static_cast<double>(events);
            serve(events, keeps_up, time);
            waiting += static_cast<std::int64_t>(arriving * time) - events;
        }
        return passes;
    }

    const Portions& portions() const { return portions_; }
    std::int64_t now() const { return now_; }

private:
    Portions portions_;
    std::int64_t now_ = 1;
};

TEST(Portions, BeginSmall) {
    const Server server;
    EXPECT_EQ(server.portion(20'000), kFirstPortion);
    EXPECT_EQ(server.portion(0), kFirstPortion);
}

TEST(Portions, AreNotMadeOfMuch) {
    const Server server;
    EXPECT_EQ(server.portion(kSlice / 4), kFirstPortion);
    EXPECT_FALSE(server.portion(kSlice / 4 + 1));
}

TEST(Portions, StayWithinASmallSlice) {
    const Server server;
    EXPECT_EQ(server.portion(10, 100), 25);
    EXPECT_EQ(server.portion(0, 1), 1);
}

TEST(Portions, TakeTheirTime) {
    Server server;
    server.serve_all(20'000, 500, 2, 0);
    const auto passes = server.serve_all(20'000, 500, 2, 0);
    EXPECT_EQ(passes.large, 0);
    EXPECT_NEAR(passes.portions, 20, 2);  // 1000 events take 2.5 ms
    EXPECT_NEAR(500 + 2 * static_cast<double>(*server.portion(20'000)), kPortionTime, 0.1 * kPortionTime);
}

TEST(Portions, OfASlowProjectionStaySmall) {
    Server server;
    EXPECT_EQ(server.serve_all(10 * kFirstPortion, 1000, 400, 0).portions, 10);
    EXPECT_EQ(server.portion(3000), kFirstPortion);
}

TEST(Portions, OfAFastProjectionGrowToAQuarterOfASlice) {
    Server server;
    for (int i = 0; i < 4; ++i) server.serve_all(20'000, 10, 0.01, 0);
    EXPECT_EQ(server.portion(20'000), kSlice / 4);
}

TEST(Portions, DoNotLearnFromPassesThatFoundLittle) {
    Server server;
    server.serve_all(20'000, 500, 2, 0);
    const auto before = server.portion(20'000);
    server.serve(10, true, 1000);
    EXPECT_EQ(server.portion(20'000), before);
    server.serve(10, true, 2.0 * kPortionTime);
    EXPECT_EQ(server.portion(20'000), kFirstPortion);
}

TEST(Portions, OfOneProjectionSayNothingAboutAnother) {
    Server server;
    server.serve_all(20'000, 10, 0.01, 0);
    EXPECT_GT(server.portion(20'000), kFirstPortion);
    EXPECT_EQ(server.portions().portion_of("other", 20'000, kSlice, server.now()), kFirstPortion);
}

TEST(Portions, EndWhereAProjectionStaysBehind) {
    Server server;
    server.serve(300, false, projection::kLongestBehind - 1);
    EXPECT_TRUE(server.portion(20'000));
    server.serve(300, false, 1);
    EXPECT_FALSE(server.portion(20'000));
    server.serve(20'000, true, 50'000);
    EXPECT_TRUE(server.portion(20'000));
}

// 0.3 events a microsecond come. A portion consumes less than that in its time, because of its fixed cost.
TEST(Portions, GiveWayToALargePassThatKeepsPace) {
    Server server;
    const auto passes = server.serve_all(2000, 2200, 1, 0.3);
    EXPECT_LT(passes.portions, 1000);
    EXPECT_GT(passes.large, 0);
}

}  // namespace
