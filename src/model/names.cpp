// Applies the rules for names.
#include "model/names.hpp"

#include <algorithm>

namespace model {
namespace {

bool is_name(std::string_view text, std::size_t max_size, bool may_end_in_space, Utf8Conversion to_utf8) {
    return !text.empty() && text.size() <= max_size && flaw_in(text, may_end_in_space, to_utf8).kind == NameFlawKind::kNone;
}

}  // namespace

NameFlaw flaw_in(std::string_view text, bool may_end_in_space, Utf8Conversion to_utf8) {
    const bool is_ascii = std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
    return to_utf8 == nullptr || is_ascii ? flaw_of(text, may_end_in_space) : flaw_of(to_utf8(text), may_end_in_space);
}

bool is_device_id(std::string_view text, Utf8Conversion to_utf8) {
    return is_name(text, kMaxDeviceIdSize, false, to_utf8);
}

bool is_region(std::string_view text, Utf8Conversion to_utf8) {
    return is_name(text, kMaxRegionSize, false, to_utf8);
}

bool is_key(std::string_view text, Utf8Conversion to_utf8) {
    return is_name(text, kMaxKeySize, true, to_utf8);
}

bool is_metric_name(std::string_view text, Utf8Conversion to_utf8) {
    return is_name(text, kMaxMetricNameSize, true, to_utf8) && !is_reserved(text);
}

bool is_reserved(std::string_view metric_name) noexcept {
    return metric_name == kTemperatureName || metric_name == kHumidityName;
}

}  // namespace model
