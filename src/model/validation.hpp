// Says which readings are refused as they stand, and tells the client so in words.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "model/identifiers.hpp"
#include "model/reading.hpp"

namespace model {

// Sizes are in bytes, as sent. Names of devices, regions and metrics and idempotency keys have at least one byte, and no
// control or invisible characters. Names of devices and regions have no space at either end (model/name_text.hpp). Names are
// compared byte by byte, so that two normalization forms of one text are two names.
inline constexpr std::size_t kMaxDeviceIdSize = 255;
inline constexpr std::size_t kMaxRegionSize = 255;
inline constexpr std::size_t kMaxKeySize = 512;
inline constexpr std::size_t kMaxMetricNameSize = 128;
inline constexpr std::size_t kMaxMetrics = 64;
inline constexpr Micros kEarliestMeasuredAt = -946'684'800'000'000;  // 1970-01-01 00:00 UTC

// The names that a reading and the registration of its device have in common.
struct DeviceNames {
    std::string_view device_id;
    std::optional<std::string_view> region;
};

enum class Refusal {
    kNone,
    kDeviceId,
    kRegion,
    kKey,
    kTemperature,  // not finite
    kHumidity,     // not finite
    kMetricName,   // also "temperature" and "humidity", which have fields of their own
    kMetricValue,  // not finite
    kTooEarly,     // measured_at before kEarliestMeasuredAt, or -infinity
    kTooFarAhead,  // measured_at after received_at + max_ahead, or infinity
};

// Gives the UTF-8 form of a text that is in the encoding of the database. Null: texts are in UTF-8 already. It may throw.
using Utf8Conversion = std::string (*)(std::string_view);

// The first reason to refuse the reading, in the order above; kNone: it is accepted. A reading without any value is accepted
// too. Throws what `to_utf8` throws. The code that reads the metrics checks how many there are.
Refusal refusal_of(const Reading& reading, Micros received_at, Micros max_ahead, Utf8Conversion to_utf8 = nullptr);

// The same for a registration: kDeviceId, kRegion or kNone.
Refusal refusal_of(const DeviceNames& names, Utf8Conversion to_utf8 = nullptr);

struct RefusalText {
    int sqlstate = 0;
    std::string message, detail, hint;
};

// Returns the words about a reading that was refused for this reason (not kNone). They shorten long texts and spell out
// invisible characters.
RefusalText describe(Refusal refusal, const Reading& reading, Micros received_at, Micros max_ahead,
                     Utf8Conversion to_utf8 = nullptr);
RefusalText describe(Refusal refusal, const DeviceNames& names, Utf8Conversion to_utf8 = nullptr);

// The part of a text that a message can carry, in double quotes. It has at most some 60 bytes, and is cut between characters.
std::string quoted_for_message(std::string_view text);

}  // namespace model
