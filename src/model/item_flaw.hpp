// Says what is wrong with an item of a JSON text, and tells the client so in words.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "model/refusal_text.hpp"

namespace model {

// The fields of a reading as JSON names them.
enum class ItemField : std::uint8_t {
    kDeviceId,
    kMeasuredAt,
    kTemperature,
    kHumidity,
    kIdempotencyKey,
    kMetrics,
    kRegion,
    kUnknown,
};
inline constexpr std::string_view kItemFieldNames[] = {"device_id",       "measured_at", "temperature", "humidity",
                                                       "idempotency_key", "metrics",     "region"};

enum class ItemFlawKind : std::uint8_t {
    kNone,
    kNotAnObject,
    kNotJson,  // `position` is where it ceases to be JSON
    kMissingDevice,
    kUnknownField,  // `name` is its name
    kRepeatedField,
    kWrongType,
    kNumberForText,     // a number that needs quotes
    kNulCharacter,      // in a text, or in the name of a metric
    kLoneSurrogate,     // in a text, or in the name of a metric
    kNotFinite,         // too large for a double, NaN or Infinity
    kTooNearZero,       // not zero, but a double would be
    kMetricNotANumber,  // `name` is that of the metric, as in the next one and the two above
    kRepeatedMetric,
    kTooManyMetrics,  // `count`
    kTimeUnreadable,
    kTimeWithoutZone,
    kTimeOutOfRange,
    kTimeWithoutUnit,  // a number
};

struct ItemFlaw {
    ItemFlawKind kind = ItemFlawKind::kNone;
    ItemField field = ItemField::kUnknown;
    std::string name;
    std::string sent;  // the value in words, such as `the text "21.5"`
    std::size_t position = 0;
    std::size_t count = 0;
};

// The words about an item (its text) with a flaw that is not kNone. `device_id` is empty where it is not known.
RefusalText describe(const ItemFlaw& flaw, std::string_view item, std::string_view device_id);

}  // namespace model
