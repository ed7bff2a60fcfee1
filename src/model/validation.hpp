// Which readings are refused as they stand, and the words in which a client is told.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "model/identifiers.hpp"
#include "model/reading.hpp"

namespace model {

// Sizes in bytes, as sent. Device, region, key and metric names have at least one byte and no control or invisible characters;
// device and region no space at either end (model/name_text.hpp). Names are compared byte by byte: of two normalization forms
// of one text each is a name of its own.
inline constexpr std::size_t kMaxDeviceIdSize = 255;
inline constexpr std::size_t kMaxRegionSize = 255;
inline constexpr std::size_t kMaxKeySize = 512;
inline constexpr std::size_t kMaxMetricNameSize = 128;
inline constexpr std::size_t kMaxMetrics = 64;
inline constexpr Micros kEarliestMeasuredAt = -946'684'800'000'000;  // 1970-01-01 00:00 UTC

// What a reading and the registration of its device have in common.
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

// The same text in UTF-8, of one that is in the encoding of the database. Null: it is in UTF-8 already. May throw.
using Utf8Conversion = std::string (*)(std::string_view);

// The first reason to refuse the reading, in the order above; kNone if it is accepted, which one without any value is too.
// Throws what `to_utf8` throws. The number of metrics is checked where they are read.
Refusal refusal_of(const Reading& reading, Micros received_at, Micros max_ahead, Utf8Conversion to_utf8 = nullptr);

// The same of a registration: kDeviceId, kRegion or kNone.
Refusal refusal_of(const DeviceNames& names, Utf8Conversion to_utf8 = nullptr);

struct RefusalText {
    int sqlstate = 0;
    std::string message, detail, hint;
};

// The words about a reading that was refused so (not kNone). Long texts are shortened, characters that are not seen are
// spelt.
RefusalText describe(Refusal refusal, const Reading& reading, Micros received_at, Micros max_ahead,
                     Utf8Conversion to_utf8 = nullptr);
RefusalText describe(Refusal refusal, const DeviceNames& names, Utf8Conversion to_utf8 = nullptr);

// The part of a text that a message can carry, in double quotes: at most some 60 bytes of it, cut between characters.
std::string quoted_for_message(std::string_view text);

}  // namespace model
