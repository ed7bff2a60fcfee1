#include "fleet.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace bench {
namespace {

constexpr std::int64_t kStart = 1'735'689'600'000'000;  // 2025-01-01 00:00 UTC

// splitmix64 scatters well enough, and gives the same numbers everywhere.
std::uint64_t scatter(std::uint64_t x) {
    x += 0x9E3779B97F4A7C15;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
    return x ^ (x >> 31);
}

double rounded(double value) {
    return std::round(value * 100) / 100;
}

std::string uuid_text(std::uint64_t high, std::uint64_t low, int version) {
    high = (high & ~0xF000ULL) | static_cast<std::uint64_t>(version) << 12;
    low = (low & 0x3FFFFFFFFFFFFFFFULL) | 0x8000000000000000ULL;
    char text[40];
    std::snprintf(text, sizeof text, "%08x-%04x-%04x-%04x-%012llx", static_cast<unsigned>(high >> 32),
                  static_cast<unsigned>(high >> 16 & 0xFFFF), static_cast<unsigned>(high & 0xFFFF),
                  static_cast<unsigned>(low >> 48), static_cast<unsigned long long>(low & 0xFFFFFFFFFFFF));
    return text;
}

}  // namespace

std::string device_name(int device) {
    char name[16];
    std::snprintf(name, sizeof name, "dev-%05d", device);
    return name;
}

std::string region_name(int device) {
    char name[16];
    std::snprintf(name, sizeof name, "region-%02d", device % kRegions);
    return name;
}

// A turn has one reading of each device in the order of their clocks, which is nearly round-robin.
std::vector<Reading> Fleet::make_round(std::int64_t round) const {
    std::vector<Reading> readings(static_cast<std::size_t>(devices_));
    for (int device = 0; device < devices_; ++device) {
        const std::uint64_t noise = scatter(static_cast<std::uint64_t>(round * devices_ + device));
        const std::int64_t phase =
            static_cast<std::int64_t>(scatter(static_cast<std::uint64_t>(device) + 77) % static_cast<std::uint64_t>(interval_));
        const std::int64_t jitter = static_cast<std::int64_t>(noise % 1'000'000);
        Reading& r = readings[static_cast<std::size_t>(device)];
        r.device = device;
        r.measured_us = (kStart + round * interval_ + phase + jitter) / 1000 * 1000;
        const double hour = static_cast<double>(r.measured_us / 1'000'000 % 86'400) / 3600.0;
        const double daily = std::sin((hour - 9.0) * 3.14159265358979 / 12.0);
        r.temperature = rounded(15.0 + device % 10 + 6.0 * daily + static_cast<double>(noise >> 20 & 0xFF) / 256.0);
        r.humidity = rounded(55.0 - 12.0 * daily + static_cast<double>(noise >> 32 & 0xFF) / 64.0);
    }
    std::sort(readings.begin(), readings.end(),
              [](const Reading& a, const Reading& b) { return a.measured_us < b.measured_us; });
    char key[32];
    for (std::size_t i = 0; i < readings.size(); ++i) {
        const std::uint64_t number = static_cast<std::uint64_t>(round * devices_) + i;
        switch (keys_) {
            case Keys::kSequence:
                std::snprintf(key, sizeof key, "dev-%05d:%08lld", readings[i].device, static_cast<long long>(round));
                readings[i].key = key;
                break;
            case Keys::kUuid4:
                readings[i].key = uuid_text(scatter(number), scatter(number + 0x5555555555), 4);
                break;
            case Keys::kUuid7:
                readings[i].key =
                    uuid_text(static_cast<std::uint64_t>(readings[i].measured_us / 1000) << 16 | (scatter(number) & 0xFFF),
                              scatter(number + 0x5555555555), 7);
                break;
        }
    }
    return readings;
}

Reading Fleet::at(std::int64_t number) {
    const std::int64_t round = number / devices_;
    const int slot = static_cast<int>(round % 2);
    if (rounds_kept_[slot] != round) {
        kept_[slot] = make_round(round);
        rounds_kept_[slot] = round;
    }
    return kept_[slot][static_cast<std::size_t>(number % devices_)];
}

std::vector<Reading> Fleet::readings(std::int64_t first, std::int64_t count, int retries_per_mille) {
    std::vector<Reading> found;
    found.reserve(static_cast<std::size_t>(count));
    for (std::int64_t i = first; i < first + count; ++i) {
        const std::uint64_t draw = scatter(static_cast<std::uint64_t>(i) ^ 0xABCDEF0123456789);
        std::int64_t number = i;
        if (static_cast<int>(draw % 1000) < retries_per_mille)
            number = std::max<std::int64_t>(0, i - 1 - static_cast<std::int64_t>((draw >> 16) % 5000));
        found.push_back(at(number));
    }
    return found;
}

}  // namespace bench
