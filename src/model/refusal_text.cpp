// Puts refusals into words.
#include "model/refusal_text.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "error_codes.hpp"
#include "model/name_text.hpp"
#include "model/time_text.hpp"

namespace model {

namespace {

std::string code_point_words(char32_t c) {
    std::string digits;
    for (; c != 0 || digits.size() < 4; c >>= 4) digits.insert(digits.begin(), "0123456789ABCDEF"[c & 15]);
    return "U+" + digits;
}

std::string flaw_words(const NameFlaw& flaw) {
    const bool is_ascii = flaw.character < 0x80;
    const std::string number = std::to_string(flaw.number);
    switch (flaw.kind) {
        case NameFlawKind::kNone:
            break;
        case NameFlawKind::kControl:
            return is_ascii ? ", with a control character as character " + number
                            : ", with the control character " + code_point_words(flaw.character) + " as character " + number;
        case NameFlawKind::kInvisible:
            return ", with the invisible character " + code_point_words(flaw.character) + " as character " + number;
        case NameFlawKind::kSpaceAtEnd:
            return is_ascii ? ", with a space at an end"
                            : ", with a space, " + code_point_words(flaw.character) + ", at an end";
    }
    return {};
}

std::string what_is_wrong_with(std::string_view name, std::string_view text, std::size_t max_size, bool may_end_in_space,
                               Utf8Conversion to_utf8) {
    std::string words(name);
    if (text.empty()) return words + " is empty.";
    words += " is " + quoted_for_message(text);
    if (text.size() > max_size)
        words += ", " + std::to_string(text.size()) + " bytes long; at most " + std::to_string(max_size) + " are allowed";
    else
        words += flaw_words(flaw_in(text, may_end_in_space, to_utf8));
    return words + ".";
}

std::string number_words(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
    return std::to_string(value);
}

std::string of_device(std::string_view device_id) {
    return " of device " + quoted_for_message(device_id);
}

DeviceNames names_in(const Reading& reading) {
    return {reading.device_id, reading.region};
}

std::string time_words(Micros at) {
    std::string words;
    append_time(words, at);
    return words;
}

std::string duration_words(Micros duration) {
    constexpr Micros kSecond = 1'000'000;
    if (duration == kSecond) return "1 second";
    std::string words = std::to_string(duration / kSecond);
    if (duration % kSecond != 0) {
        words += '.' + std::to_string(kSecond + duration % kSecond).substr(1);
        words.erase(words.find_last_not_of('0') + 1);
    }
    return words + " seconds";
}

// The shortest digits that read back as this number.
std::string short_number_words(double value) {
    char digits[32];
    return {digits, std::to_chars(digits, digits + sizeof digits, value).ptr};
}

// "0 to 100 lx", "at least 0 lx", "at most 100 lx".
std::string limits_words(const MetricLimits& limits) {
    const std::string unit = limits.unit.empty() ? std::string() : " " + std::string(limits.unit);
    if (std::isinf(limits.minimum)) return "at most " + short_number_words(limits.maximum) + unit;
    if (std::isinf(limits.maximum)) return "at least " + short_number_words(limits.minimum) + unit;
    return short_number_words(limits.minimum) + " to " + short_number_words(limits.maximum) + unit;
}

RefusalText out_of_limits(const Reading& reading, const Policy& policy) {
    const std::optional<ValueOutOfLimits> value = value_out_of_limits(reading, policy);
    if (!value) return {};
    const MetricLimits& limits = *value->limits;
    return {.sqlstate = error_codes::kOutOfLimits,
            .message = "metric is out of its limits",
            .detail = "Metric " + quoted_for_message(value->metric.name) + of_device(reading.device_id) + " is " +
                      short_number_words(value->metric.value) +
                      (limits.unit.empty() ? std::string() : " " + std::string(limits.unit)) + "; allowed is " +
                      limits_words(limits) + ".",
            .hint = "Check the sensor, or set other limits with telemetry.set_metric()."};
}

// Where the limit of a reading is to be changed.
std::string limit_of(const char* name, const Policy& policy) {
    if (policy.is_of_device) return std::string(name) + " of the device (telemetry.set_device_policy())";
    return std::string("telemetry_cqrs.") + name;
}

RefusalText not_finite(std::string_view name, double value, const Reading& reading) {
    return {.sqlstate = error_codes::kNotFinite,
            .message = std::string(name) + " is not a finite number",
            .detail = std::string(name) + of_device(reading.device_id) + " is " + number_words(value) + ".",
            .hint = "Send NULL, or leave it out, where there is no value."};
}

}  // namespace

RefusalText describe_metric_count(std::string_view device_id, std::size_t count, std::size_t max_metrics) {
    return {.sqlstate = error_codes::kInvalidMetrics,
            .message = "too many metrics",
            .detail = "The reading" + of_device(device_id) + " has " + std::to_string(count) + "; at most " +
                      std::to_string(max_metrics) + " are allowed.",
            .hint = "Send several readings."};
}

RefusalText describe(Refusal refusal, const DeviceNames& names, Utf8Conversion to_utf8) {
    if (refusal == Refusal::kDeviceId)
        return {.sqlstate = error_codes::kInvalidDeviceId,
                .message = "device_id is not valid",
                .detail = what_is_wrong_with("device_id", names.device_id, kMaxDeviceIdSize, false, to_utf8),
                .hint = "A device_id has 1 to " + std::to_string(kMaxDeviceIdSize) +
                        " bytes, no control or invisible characters, and no space at either end."};
    return {.sqlstate = error_codes::kInvalidRegion,
            .message = "region is not valid",
            .detail = what_is_wrong_with("region" + of_device(names.device_id), names.region.value_or(""), kMaxRegionSize,
                                         false, to_utf8),
            .hint = "A region has 1 to " + std::to_string(kMaxRegionSize) +
                    " bytes, no control or invisible characters, and no space at either end. Without one the "
                    "registry's counts."};
}

RefusalText describe(Refusal refusal, const Reading& reading, Micros received_at, const Policy& policy,
                     Utf8Conversion to_utf8) {
    switch (refusal) {
        case Refusal::kNone:
            break;
        case Refusal::kDeviceId:
        case Refusal::kRegion:
            return describe(refusal, names_in(reading), to_utf8);
        case Refusal::kKey:
            return {.sqlstate = error_codes::kInvalidKey,
                    .message = "idempotency_key is not valid",
                    .detail = what_is_wrong_with("idempotency_key" + of_device(reading.device_id),
                                                 reading.idempotency_key.value_or(""), kMaxKeySize, true, to_utf8),
                    .hint = "An idempotency_key has 1 to " + std::to_string(kMaxKeySize) +
                            " bytes and no control or invisible characters. Without one, device, measured_at and values "
                            "identify the reading."};
        case Refusal::kTemperature:
            return not_finite("temperature", reading.temperature.value_or(0), reading);
        case Refusal::kHumidity:
            return not_finite("humidity", reading.humidity.value_or(0), reading);
        case Refusal::kTooManyMetrics:
            return describe_metric_count(reading.device_id, reading.metrics.size(), policy.max_metrics);
        case Refusal::kMetricName: {
            const auto metric = std::ranges::find_if_not(
                reading.metrics, [to_utf8](std::string_view each) { return is_metric_name(each, to_utf8); }, &Metric::name);
            const auto name = metric == reading.metrics.end() ? std::string_view{} : metric->name;
            const auto subject = "The name of a metric" + of_device(reading.device_id);
            return {.sqlstate = error_codes::kInvalidMetrics,
                    .message = "metric name is not valid",
                    .detail = is_reserved(name) ? subject + " is " + quoted_for_message(name) + ", which is a field of its own."
                                                : what_is_wrong_with(subject, name, kMaxMetricNameSize, true, to_utf8),
                    .hint = "A metric name has 1 to " + std::to_string(kMaxMetricNameSize) +
                            " bytes and no control or invisible characters. Send temperature and humidity beside the metrics."};
        }
        case Refusal::kMetricValue: {
            const auto metric = std::ranges::find_if(
                reading.metrics, [](double value) { return !std::isfinite(value); }, &Metric::value);
            auto text = not_finite("metric", metric == reading.metrics.end() ? 0 : metric->value, reading);
            const auto name = metric == reading.metrics.end() ? std::string_view{} : metric->name;
            text.detail.insert(std::string_view("metric").size(), " " + quoted_for_message(name));
            return text;
        }
        case Refusal::kOutOfLimits:
            return out_of_limits(reading, policy);
        case Refusal::kTooEarly:
            return {.sqlstate = error_codes::kMeasuredAtOutOfRange,
                    .message = "measured_at is out of range",
                    .detail = "measured_at" + of_device(reading.device_id) + " is " +
                              time_words(reading.measured_at.value_or(0)) + ", before " + time_words(kEarliestMeasuredAt) + ".",
                    .hint = "Check the device's clock. Without measured_at the time of receipt is taken."};
        case Refusal::kTooFarAhead:
            return {.sqlstate = error_codes::kMeasuredAtOutOfRange,
                    .message = "measured_at is out of range",
                    .detail = "measured_at" + of_device(reading.device_id) + " is " +
                              time_words(reading.measured_at.value_or(0)) + ", more than " + duration_words(policy.max_ahead) +
                              " ahead of the server's clock, " + time_words(received_at) + ".",
                    .hint = "Check the clocks of device and server, or raise " + limit_of("max_ahead", policy) +
                            ". Without measured_at the time of receipt is taken."};
        case Refusal::kTooOld:
            return {.sqlstate = error_codes::kMeasuredAtOutOfRange,
                    .message = "measured_at is out of range",
                    .detail = "measured_at" + of_device(reading.device_id) + " is " +
                              time_words(reading.measured_at.value_or(0)) + ", more than " +
                              duration_words(policy.max_age.value_or(0)) + " before the server's clock, " +
                              time_words(received_at) + ".",
                    .hint = "Check the device's clock, or raise " + limit_of("max_age", policy) + "."};
    }
    return {};
}

}  // namespace model
