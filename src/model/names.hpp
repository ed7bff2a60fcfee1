// The rules for the names in a reading: which texts may name a device, a region or a metric, or be an idempotency key.
//
// Sizes are in bytes, as sent. A name has at least one byte, and no control or invisible characters. Names of devices and
// regions have no space at either end (model/name_text.hpp). Names are compared byte by byte, so that two normalization forms
// of one text are two names.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "model/name_text.hpp"

namespace model {

inline constexpr std::size_t kMaxDeviceIdSize = 255;
inline constexpr std::size_t kMaxRegionSize = 255;
inline constexpr std::size_t kMaxKeySize = 512;
inline constexpr std::size_t kMaxMetricNameSize = 128;

// The names that a reading and the registration of its device have in common.
struct DeviceNames {
    std::string_view device_id;
    std::optional<std::string_view> region;
};

// Gives the UTF-8 form of a text that is in the encoding of the database. Null: texts are in UTF-8 already. It may throw.
using Utf8Conversion = std::string (*)(std::string_view);

bool is_device_id(std::string_view text, Utf8Conversion to_utf8 = nullptr);
bool is_region(std::string_view text, Utf8Conversion to_utf8 = nullptr);
bool is_key(std::string_view text, Utf8Conversion to_utf8 = nullptr);

// "temperature" and "humidity" are not names of metrics of the object, because they have fields of their own.
bool is_metric_name(std::string_view text, Utf8Conversion to_utf8 = nullptr);
inline constexpr std::string_view kTemperatureName = "temperature";
inline constexpr std::string_view kHumidityName = "humidity";
bool is_reserved(std::string_view metric_name) noexcept;

// The first flaw of a text that is in the encoding of the database.
NameFlaw flaw_in(std::string_view text, bool may_end_in_space, Utf8Conversion to_utf8);

}  // namespace model
