// The fleet has 10,000 devices in 20 regions, and each sends a reading each ten seconds. Reading number i is a pure function of
// i, so both sides of a comparison store the same rows, and a retry is the same number again.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace bench {

constexpr int kDevices = 10'000;
constexpr int kRegions = 20;

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
    explicit Fleet(Keys keys) : keys_(keys) {}

    // Holds the readings first .. first + count - 1. With retries_per_mille a reading may instead repeat one of the 5,000
    // before it.
    std::vector<Reading> readings(std::int64_t first, std::int64_t count, int retries_per_mille = 0);

private:
    Reading at(std::int64_t number);

    Keys keys_;
    std::int64_t rounds_kept_[2] = {-1, -1};
    std::vector<Reading> kept_[2];
};

}  // namespace bench
