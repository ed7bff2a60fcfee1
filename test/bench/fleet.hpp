// The fleet has 10,000 devices in 20 regions, and each sends a reading each ten seconds, where nothing else is said. Reading
// number i is a pure function of i, so both sides of a comparison store the same rows, and a retry is the same number again.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace bench {

constexpr int kDevices = 10'000;
constexpr int kRegions = 20;
constexpr int kSecondsBetween = 10;  // two readings of a device

enum class Keys { kSequence, kUuid4, kUuid7 };

struct Reading {
    int device;
    std::int64_t measured_us;  // microseconds since 1970
    double temperature;        // °C
    double humidity;           // %RH
    std::string key;
};

std::string device_name(int device);
std::string region_name(int device);

class Fleet {
public:
    explicit Fleet(Keys keys, int devices = kDevices, int seconds_between = kSecondsBetween)
        : keys_(keys), devices_(devices), interval_(std::int64_t{seconds_between} * 1'000'000) {}

    // Holds the readings first .. first + count - 1. With retries_per_mille a reading may instead repeat one of the 5,000
    // before it.
    std::vector<Reading> readings(std::int64_t first, std::int64_t count, int retries_per_mille = 0);

private:
    Reading at(std::int64_t number);
    std::vector<Reading> make_round(std::int64_t round) const;

    Keys keys_;
    int devices_;
    std::int64_t interval_;  // microseconds
    std::int64_t rounds_kept_[2] = {-1, -1};
    std::vector<Reading> kept_[2];
};

}  // namespace bench
