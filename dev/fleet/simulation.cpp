#include "simulation.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <deque>
#include <exception>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "batch.hpp"
#include "connection.hpp"
#include "wire.hpp"

namespace fleet {
namespace {

using Clock = std::chrono::steady_clock;
using client::Connection;

constexpr const char* kRegions[] = {"north", "east", "south", "west", "harbour"};
constexpr int kGatewayDevices = 39;  // With one hand-held device a region they are 200.
constexpr std::int64_t kMinute = 60'000'000;
constexpr int kTicksPerSecond = 20;
constexpr int kMinutesPerTick = 4;

constexpr double kRetried = 0.05, kLate = 0.03, kFaulty = 0.0002;

std::int64_t now_us() {
    return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

double rounded(double value) {
    return std::round(value * 100) / 100;
}

// The weather of a region and the place of a device in it.
class Climate {
public:
    explicit Climate(unsigned seed) : random_(seed) {}

    Reading measure(const std::string& device, int region, int number, std::int64_t at_us) {
        const double hour = static_cast<double>(at_us / 1'000'000 % 86'400) / 3600.0;
        const double daily = std::sin((hour - 9.0) * 3.14159265358979 / 12.0);  // warmest at three in the afternoon
        Reading r;
        r.device = device;
        r.region = kRegions[region];
        r.measured_at = client::wire::text_timestamptz(at_us / 1000 * 1000);
        r.temperature = rounded(8.0 + 4.0 * region + 0.05 * number + 5.0 * daily + noise_(random_));
        r.humidity = rounded(std::clamp(62.0 - 3.0 * region - 14.0 * daily + 2.0 * noise_(random_), 0.0, 100.0));
        if (number % 4 == 0) {
            char battery[40];
            std::snprintf(battery, sizeof battery, "{\"battery\": %.2f}", 3.90 - 0.004 * number + 0.02 * noise_(random_));
            r.metrics = battery;
        }
        return r;
    }

    bool chance(double probability) { return uniform_(random_) < probability; }
    int below(int limit) { return static_cast<int>(random_() % static_cast<unsigned>(limit)); }

private:
    std::mt19937 random_;
    std::normal_distribution<double> noise_{0.0, 0.4};
    std::uniform_real_distribution<double> uniform_{0.0, 1.0};
};

// Makes a reading that must be refused, of four kinds in turn. before is one that was accepted.
Reading spoil(Reading fresh, const Reading& before, int kind) {
    fresh.key = *fresh.key + "-faulty";
    switch (kind % 4) {
        case 0:
            fresh.temperature = std::nan("");
            break;
        case 1:
            fresh.measured_at = client::wire::text_timestamptz(now_us() + 365 * 24 * 60 * kMinute);
            break;
        case 2:
            fresh.device.clear();
            break;
        default:
            fresh = before;
            fresh.temperature = *before.temperature + 1.0;  // It has the key of one reading with the value of another.
    }
    return fresh;
}

// Sends the readings of the devices of a region, a batch each 50 ms.
void run_gateway(int region, int seconds, std::int64_t start_us, Totals& totals) {
    Connection connection("");
    Batch::prepare(connection);
    Climate climate(static_cast<unsigned>(100 + region));
    std::deque<Reading> sent;               // accepted lately, so they may be sent again
    std::multimap<int, Reading> held_back;  // by the tick at which the network is back
    std::vector<std::int64_t> numbers(kGatewayDevices, 0);
    int faults = region;

    const auto begin = Clock::now();
    const int ticks = seconds * kTicksPerSecond;
    Batch batch;
    std::vector<Reading> fresh;  // becomes "sent" when the batch is stored
    for (int tick = 0; tick < ticks; ++tick) {
        for (int minute = 0; minute < kMinutesPerTick; ++minute) {
            for (int device = 0; device < kGatewayDevices; ++device) {
                char name[32];
                std::snprintf(name, sizeof name, "%s-%02d", kRegions[region], device + 1);
                const std::int64_t at =
                    start_us + (std::int64_t{tick} * kMinutesPerTick + minute) * kMinute + device * kMinute / kGatewayDevices;
                Reading r = climate.measure(name, region, device + 1, at);
                r.key = std::string(name) + ":" + std::to_string(++numbers[static_cast<std::size_t>(device)]);
                if (!sent.empty() && climate.chance(kFaulty)) {
                    batch.add(spoil(r, sent[static_cast<std::size_t>(climate.below(static_cast<int>(sent.size())))], faults++));
                    totals.faulty += 1;
                }
                // A late reading comes after the device was heard with a later time.
                if (tick + 30 < ticks && climate.chance(kLate))
                    held_back.emplace(tick + 5 + climate.below(25), std::move(r));
                else
                    fresh.push_back(std::move(r));
            }
        }
        for (auto it = held_back.begin(); it != held_back.end() && it->first <= tick; it = held_back.erase(it)) {
            fresh.push_back(std::move(it->second));
            totals.late += 1;
        }
        for (const Reading& r : fresh) batch.add(r);
        for (int again = static_cast<int>(fresh.size()); again > 0; --again) {
            if (sent.empty() || !climate.chance(kRetried)) continue;
            batch.add(sent[static_cast<std::size_t>(climate.below(static_cast<int>(sent.size())))]);
            totals.retries += 1;
        }
        batch.send(connection, totals);
        for (Reading& r : fresh) sent.push_back(std::move(r));
        fresh.clear();
        while (sent.size() > 3000) sent.pop_front();

        if (region == 0) totals.work_done = (tick + 1) * 1000 / kTicksPerSecond;
        const auto next = begin + std::chrono::milliseconds(1000 / kTicksPerSecond) * (tick + 1);
        if (Clock::now() - next > std::chrono::minutes(1))
            throw std::runtime_error("the server is a minute behind the fleet: too slow for this demo");
        std::this_thread::sleep_until(next);
    }
}

// Hand-held devices send one reading a call, ten a second, and read the receipt.
void run_hand_held(int seconds, Totals& totals) {
    Connection connection("");
    connection.prepare(
        "one", "SELECT status FROM telemetry.ingest_telemetry($1, $2::timestamptz, $3::float8, $4::float8, $5, region => $6)");
    Climate climate(7);
    const auto begin = Clock::now();
    for (int tick = 0; tick < seconds * 10; ++tick) {
        for (int region = 0; region < static_cast<int>(std::size(kRegions)); ++region) {
            const std::string device = std::string(kRegions[region]) + "-hand";
            const Reading r = climate.measure(device, region, 1, now_us());
            const std::string key = device + ":" + std::to_string(tick),
                              temperature = client::wire::text_float8(*r.temperature),
                              humidity = client::wire::text_float8(*r.humidity);
            const int times = climate.chance(kRetried) ? 2 : 1;
            totals.retries += times - 1;
            for (int i = 0; i < times; ++i) {
                const client::Result receipt =
                    connection.run_prepared("one", {{device}, {*r.measured_at}, {temperature}, {humidity}, {key}, {*r.region}});
                totals.sent += 1;
                (receipt.text(0, 0) == "accepted" ? totals.accepted : totals.duplicates) += 1;
            }
        }
        std::this_thread::sleep_until(begin + std::chrono::milliseconds(100) * (tick + 1));
    }
}

}  // namespace

void simulate(int seconds, Totals& totals) {
    const std::int64_t start_us = now_us() - std::int64_t{seconds} * kTicksPerSecond * kMinutesPerTick * kMinute;
    std::vector<std::exception_ptr> failures(std::size(kRegions) + 1);
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < failures.size(); ++i) {
        threads.emplace_back([&, i] {
            try {
                if (i < std::size(kRegions))
                    run_gateway(static_cast<int>(i), seconds, start_us, totals);
                else
                    run_hand_held(seconds, totals);
            } catch (...) {
                failures[i] = std::current_exception();
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    for (const std::exception_ptr& failure : failures)
        if (failure) std::rethrow_exception(failure);
}

}  // namespace fleet
