// Random readings for tests. They own their texts.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "example_event.hpp"
#include "model/event.hpp"
#include "projection/gathered.hpp"

namespace test {

using model::Micros;

inline constexpr Micros kMinute = 60'000'000, kHour = 60 * kMinute;
// The first and the last finite time of the server's timestamptz. They lie further apart than an int64 tells.
inline constexpr Micros kFirstTime = -211'813'488'000'000'000, kLastTime = 9'223'371'331'199'999'999;

inline constexpr double kInfinity = std::numeric_limits<double>::infinity();
inline constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// Some texts are of several kinds, because all kinds share their numbers. Some have bytes beyond 0x7F, which a signed char
// would put first.
inline constexpr std::string_view kDevices[] = {"z", "a",        "ab",   "rpm",
                                                "B", "\xC3\xA9", "\xFF", "a device with a rather long name"};
inline constexpr std::string_view kRegions[] = {
    "", "z", "a", "north", "north-east", "\xC3\xA9", "a region with a rather long name"};
inline constexpr std::string_view kMetrics[] = {"rpm", "a", "pressure", "\xC3\xA9nergie"};

// Compares byte by byte.
inline bool is_less(std::string_view a, std::string_view b) {
    const auto byte_is_less = [](char x, char y) { return static_cast<unsigned char>(x) < static_cast<unsigned char>(y); };
    return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(), byte_is_less);
}

// A reading that owns its texts.
struct Sample {
    std::string device, region;
    Micros measured_at = 0, received_at = 0;
    std::optional<double> temperature{}, humidity{};
    std::vector<std::pair<std::string, double>> metrics{};
};

// The texts that are gathered are gone afterwards, so that a sanitizer sees a view into them.
inline void gather(projection::Gathered& gathered, std::span<const Sample> samples) {
    const std::vector<Sample> copies(samples.begin(), samples.end());
    std::vector<std::vector<model::Metric>> metrics;
    std::vector<model::Event> events;
    for (const Sample& each : copies) {
        auto& own = metrics.emplace_back();
        for (const auto& [name, value] : each.metrics) own.push_back({name, value});
        model::Event event = bare_event(1);
        event.device_id = each.device;
        event.region = each.region;
        event.measured_at = each.measured_at;
        event.received_at = each.received_at;
        event.temperature = each.temperature;
        event.humidity = each.humidity;
        event.metrics = own;
        events.push_back(event);
    }
    gathered.add(events);
}

inline void gather_in_pieces(std::mt19937_64& random, projection::Gathered& gathered, std::span<const Sample> samples) {
    while (!samples.empty()) {
        const std::size_t size = std::min<std::size_t>(samples.size(), random() % 50);
        gather(gathered, samples.first(size));
        samples = samples.subspan(size);
    }
}

inline std::string one_of(std::mt19937_64& random, std::span<const std::string_view> texts) {
    return std::string(texts[random() % texts.size()]);
}

inline Micros random_time(std::mt19937_64& random) {
    const auto below = [&random](Micros bound) { return static_cast<Micros>(random() % static_cast<std::uint64_t>(bound)); };
    switch (random() % 12) {
        case 0:
            return kFirstTime + below(2 * kHour);
        case 1:
            return kLastTime - below(2 * kHour);
        case 2:
            return kFirstTime;
        case 3:
            return kLastTime;
        case 4:
            return (below(4) - 2) * kHour - below(2);  // where a bucket begins, and right before
        case 5:
            return below(4 * kHour) - 2 * kHour;
        default:
            return (below(24) - 12) * 20'000'000;  // some readings have the same time
    }
}

inline double random_value(std::mt19937_64& random) {
    std::normal_distribution<double> normal(20, 5);
    switch (random() % 8) {
        case 0:
            return -0.0;
        case 1:
            return static_cast<double>(random() % 4) - 1;  // some readings have the same value
        default:
            return normal(random);
    }
}

inline double random_value_or_none(std::mt19937_64& random) {
    constexpr double kNone[] = {kNan, kInfinity, -kInfinity};
    return random() % 6 == 0 ? kNone[random() % std::size(kNone)] : random_value(random);
}

inline std::vector<Sample> random_samples(std::mt19937_64& random, std::size_t size) {
    std::vector<Sample> samples(size);
    for (Sample& each : samples) {
        each.device = one_of(random, kDevices);
        each.region = one_of(random, kRegions);
        each.measured_at = random_time(random);
        each.received_at = random_time(random);
        if (random() % 4 != 0) each.temperature = random_value_or_none(random);
        if (random() % 4 != 0) each.humidity = random_value_or_none(random);
        if (random() % 2 == 0) continue;
        for (const std::string_view name : kMetrics)
            if (random() % 2 == 0) each.metrics.emplace_back(name, random_value_or_none(random));
    }
    return samples;
}

}  // namespace test
