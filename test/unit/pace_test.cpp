// The pace of the relay: when it rests, and for how long.
#include "relay/pace.hpp"

#include <gtest/gtest.h>

namespace relay {
namespace {

constexpr double kProcessors = 2;
constexpr runtime::SteadyTime kWork = 1000;

// A machine of two processors, of which `idle` are idle, and which accepts `rate` readings a second.
class Machine {
public:
    explicit Machine(runtime::SteadyTime at = 1) { totals_.at = at; }
    void run(Pace& pace, int looks, double idle, double rate) {
        for (int i = 0; i < looks; ++i) {
            totals_.at += 100'000;
            totals_.offered += kProcessors / 10;
            totals_.used += (kProcessors - idle) / 10;
            totals_.readings += static_cast<std::uint64_t>(rate / 10);
            pace.look(totals_);
        }
    }
    void reset_readings() { totals_.readings = 0; }
    // Where the system does not tell.
    void look_blindly(Pace& pace) { pace.look({.at = totals_.at, .readings = totals_.readings}); }

private:
    MachineTotals totals_{.at = 0, .offered = 1000, .used = 10, .readings = 0};
};

TEST(Pace, BeginsWithoutARest) {
    Pace pace;
    EXPECT_FALSE(pace.is_peak());
    EXPECT_EQ(pace.rest_after(kWork), 0);
}

TEST(Pace, RestsInAPeakAndNoLonger) {
    Pace pace;
    Machine machine;
    machine.run(pace, 1, 2, 0);
    machine.run(pace, 5, 0.1, 200'000);
    EXPECT_TRUE(pace.is_peak());
    EXPECT_GT(pace.rest_after(kWork), 300 * kWork);
    EXPECT_LT(pace.rest_after(kWork), 400 * kWork);  // it never stands still
    machine.run(pace, 1, 0.1, 0);
    EXPECT_EQ(pace.rest_after(kWork), 0);
}

TEST(Pace, KeepsUpOnABusyMachine) {
    Pace pace;
    Machine machine;
    machine.run(pace, 50, 0, 20'000);
    EXPECT_EQ(pace.rest_after(kWork), 0);
}

TEST(Pace, TakesIdleProcessors) {
    Pace pace;
    Machine machine;
    machine.run(pace, 50, 1, 200'000);
    EXPECT_EQ(pace.rest_after(kWork), 0);
}

TEST(Pace, GrowsSlowlyUntilMuchIsIdle) {
    Pace slow, fast;
    Machine first, second;
    first.run(slow, 10, 0, 200'000);
    second.run(fast, 10, 0, 200'000);
    first.run(slow, 5, 0.5, 200'000);
    second.run(fast, 5, 1, 200'000);
    EXPECT_TRUE(slow.is_peak());
    EXPECT_GT(slow.rest_after(kWork), 10 * fast.rest_after(kWork));
    second.run(fast, 5, 1, 200'000);
    EXPECT_FALSE(fast.is_peak());
}

// Where reads are dear, fewer readings are a peak.
TEST(Pace, LearnsWhatAReadCosts) {
    Pace pace;
    Machine machine;
    for (int i = 0; i < 100; ++i) pace.has_read(1000, 10'000);
    machine.run(pace, 5, 0, 20'000);
    EXPECT_TRUE(pace.is_peak());
    for (int i = 0; i < 100; ++i) pace.has_read(100, 10'000);  // too small to say anything
    for (int i = 0; i < 100; ++i) pace.has_read(1000, 1000);
    machine.run(pace, 1, 0, 20'000);
    EXPECT_FALSE(pace.is_peak());
}

TEST(Pace, TakesMoreTheLongerAPeakLasts) {
    Pace pace;
    Machine machine;
    machine.run(pace, 10, 0, 200'000);
    const runtime::SteadyTime first = pace.rest_after(kWork);
    machine.run(pace, 600, 0, 200'000);
    EXPECT_LT(pace.rest_after(kWork), first / 3);
    machine.run(pace, 2400, 0, 200'000);
    EXPECT_EQ(pace.rest_after(kWork), 0);
}

TEST(Pace, SeesALongPeakThroughQuietMoments) {
    Pace pace;
    Machine machine;
    for (int second = 0; second < 600; ++second) {
        machine.run(pace, 9, 0.1, 200'000);
        machine.run(pace, 1, second % 3 == 0 ? 1 : 0.1, second % 5 == 0 ? 0 : 200'000);
    }
    machine.run(pace, 5, 0.1, 200'000);
    EXPECT_LT(pace.rest_after(kWork), kWork);
}

// A relay that starts in a peak does not take the time since the machine started for its length.
TEST(Pace, RestsInAPeakThatItFinds) {
    Pace pace;
    Machine machine(1'000'000'000'000);
    machine.run(pace, 10, 0.1, 200'000);
    EXPECT_GT(pace.rest_after(kWork), 300 * kWork);
}

TEST(Pace, DoesNotRestWhereTheMachineIsUnknown) {
    Pace pace;
    Machine machine;
    machine.run(pace, 5, 0, 200'000);
    machine.look_blindly(pace);
    EXPECT_FALSE(pace.is_peak());
}

TEST(Pace, SurvivesAResetOfTheCount) {
    Pace pace;
    Machine machine;
    machine.run(pace, 5, 0, 200'000);
    machine.reset_readings();
    machine.run(pace, 1, 0, 1000);
    EXPECT_FALSE(pace.is_peak());
}

}  // namespace
}  // namespace relay
