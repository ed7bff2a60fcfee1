// Which readings are refused as they stand, and the words in which a client is told.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "model/identifiers.hpp"
#include "model/reading.hpp"

namespace model {

// Sizes in bytes. Device, region, key and metric names have at least one byte and no control characters (ASCII 0-31, 127);
// device and region no space at either end.
inline constexpr std::size_t kMaxDeviceIdSize = 255;
inline constexpr std::size_t kMaxRegionSize = 255;
inline constexpr std::size_t kMaxKeySize = 512;
inline constexpr std::size_t kMaxMetricNameSize = 128;
inline constexpr std::size_t kMaxMetrics = 64;
inline constexpr Micros kEarliestMeasuredAt = -946'684'800'000'000;  // 1970-01-01 00:00 UTC

enum class Refusal {
    kNone,
    kDeviceId,
    kRegion,
    kKey,
    kTemperature,  // not finite
    kHumidity,     // not finite
    kTooManyMetrics,
    kMetricName,   // also "temperature" and "humidity", which have fields of their own
    kMetricValue,  // not finite
    kTooEarly,     // measured_at before kEarliestMeasuredAt, or -infinity
    kTooFarAhead,  // measured_at after received_at + max_ahead, or infinity
};

// The first reason to refuse the reading, in the order above; kNone if it is accepted, which one without any value is too.
Refusal refusal_of(const Reading& reading, Micros received_at, Micros max_ahead) noexcept;

// kDeviceId or kNone, kRegion or kNone.
Refusal refusal_of_device_id(std::string_view device_id) noexcept;
Refusal refusal_of_region(std::string_view region) noexcept;

struct RefusalText {
    int sqlstate = 0;
    std::string message, detail, hint;
};

// What to tell about a reading that was refused so (not kNone). Long texts are shortened, control characters made visible.
RefusalText describe(Refusal refusal, const Reading& reading, Micros received_at, Micros max_ahead);

// The part of a text that a message can carry, in double quotes: at most some 60 bytes, cut between characters.
std::string quoted_for_message(std::string_view text);

}  // namespace model
