// The rules for readings, once as a fast answer and once in words.
#include "model/validation.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "error_codes.hpp"
#include "model/time_text.hpp"

namespace model {

namespace {

bool is_control(char c) noexcept {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f;
}

bool is_text(std::string_view text, std::size_t max_size) noexcept {
    return !text.empty() && text.size() <= max_size && std::ranges::none_of(text, is_control);
}

bool has_space_at_end(std::string_view text) noexcept {
    return text.starts_with(' ') || text.ends_with(' ');
}

bool is_reserved(std::string_view metric_name) noexcept {
    return metric_name == "temperature" || metric_name == "humidity";
}

bool is_metric_name(std::string_view name) noexcept {
    return is_text(name, kMaxMetricNameSize) && !is_reserved(name);
}

Micros latest_measured_at(Micros received_at, Micros max_ahead) noexcept {
    constexpr auto kInfinity = std::numeric_limits<Micros>::max();
    Micros latest;
    if (__builtin_add_overflow(received_at, max_ahead, &latest) || latest == kInfinity) return kInfinity - 1;
    return latest;
}

// ---- words ----

std::string what_is_wrong_with(std::string_view name, std::string_view text, std::size_t max_size) {
    std::string words(name);
    if (text.empty()) return words + " is empty.";
    words += " is " + quoted_for_message(text);
    if (text.size() > max_size)
        words += ", " + std::to_string(text.size()) + " bytes long; at most " + std::to_string(max_size) + " are allowed";
    else if (const auto control = std::ranges::find_if(text, is_control); control != text.end())
        words += ", with a control character at byte " + std::to_string(control - text.begin() + 1);
    else if (has_space_at_end(text))
        words += ", with a space at an end";
    return words + ".";
}

std::string number_words(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
    return std::to_string(value);
}

std::string of_device(const Reading& reading) {
    return " of device " + quoted_for_message(reading.device_id);
}

std::string time_words(Micros at) {
    std::string words;
    append_time(words, at);
    return words;
}

std::string duration_words(Micros duration) {
    const auto seconds = duration / 1'000'000;
    return std::to_string(seconds) + (seconds == 1 ? " second" : " seconds");
}

RefusalText not_finite(std::string_view name, double value, const Reading& reading) {
    return {.sqlstate = error_codes::kNotFinite,
            .message = std::string(name) + " is not a finite number",
            .detail = std::string(name) + of_device(reading) + " is " + number_words(value) + ".",
            .hint = "Send NULL, or leave it out, where there is no value."};
}

}  // namespace

std::string quoted_for_message(std::string_view text) {
    constexpr std::size_t kMaxShown = 60;
    constexpr char kHexDigits[] = "0123456789ABCDEF";
    auto shown = text;
    if (text.size() > kMaxShown) {
        auto end = kMaxShown;
        // Not in the middle of a UTF-8 sequence, which is at most four bytes long.
        while (end > kMaxShown - 4 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
        shown = text.substr(0, end);
    }
    std::string quoted = "\"";
    for (const char c : shown) {
        if (is_control(c)) {
            const auto byte = static_cast<unsigned char>(c);
            quoted += "\\x";
            quoted += kHexDigits[byte >> 4];
            quoted += kHexDigits[byte & 15];
        } else {
            quoted += c;
        }
    }
    if (shown.size() < text.size()) quoted += "...";
    return quoted += '"';
}

Refusal refusal_of_device_id(std::string_view device_id) noexcept {
    return is_text(device_id, kMaxDeviceIdSize) && !has_space_at_end(device_id) ? Refusal::kNone : Refusal::kDeviceId;
}

Refusal refusal_of_region(std::string_view region) noexcept {
    return is_text(region, kMaxRegionSize) && !has_space_at_end(region) ? Refusal::kNone : Refusal::kRegion;
}

Refusal refusal_of(const Reading& reading, Micros received_at, Micros max_ahead) noexcept {
    if (refusal_of_device_id(reading.device_id) != Refusal::kNone) return Refusal::kDeviceId;
    if (reading.region && refusal_of_region(*reading.region) != Refusal::kNone) return Refusal::kRegion;
    if (reading.idempotency_key && !is_text(*reading.idempotency_key, kMaxKeySize)) return Refusal::kKey;
    if (reading.temperature && !std::isfinite(*reading.temperature)) return Refusal::kTemperature;
    if (reading.humidity && !std::isfinite(*reading.humidity)) return Refusal::kHumidity;
    if (reading.metrics.size() > kMaxMetrics) return Refusal::kTooManyMetrics;
    for (const Metric& metric : reading.metrics)
        if (!is_metric_name(metric.name)) return Refusal::kMetricName;
    for (const Metric& metric : reading.metrics)
        if (!std::isfinite(metric.value)) return Refusal::kMetricValue;
    if (reading.measured_at) {
        if (*reading.measured_at < kEarliestMeasuredAt) return Refusal::kTooEarly;
        if (*reading.measured_at > latest_measured_at(received_at, max_ahead)) return Refusal::kTooFarAhead;
    }
    return Refusal::kNone;
}

RefusalText describe(Refusal refusal, const Reading& reading, Micros received_at, Micros max_ahead) {
    switch (refusal) {
        case Refusal::kNone:
            break;
        case Refusal::kDeviceId:
            return {.sqlstate = error_codes::kInvalidDeviceId,
                    .message = "device_id is not valid",
                    .detail = what_is_wrong_with("device_id", reading.device_id, kMaxDeviceIdSize),
                    .hint = "A device_id has 1 to " + std::to_string(kMaxDeviceIdSize) +
                            " bytes, no control characters, and no space at either end."};
        case Refusal::kRegion:
            return {.sqlstate = error_codes::kInvalidRegion,
                    .message = "region is not valid",
                    .detail = what_is_wrong_with("region" + of_device(reading), reading.region.value_or(""), kMaxRegionSize),
                    .hint = "A region has 1 to " + std::to_string(kMaxRegionSize) +
                            " bytes, no control characters, and no space at either end. Without one the registry's is taken."};
        case Refusal::kKey:
            return {
                .sqlstate = error_codes::kInvalidKey,
                .message = "idempotency_key is not valid",
                .detail = what_is_wrong_with("idempotency_key" + of_device(reading), reading.idempotency_key.value_or(""),
                                             kMaxKeySize),
                .hint = "An idempotency_key has 1 to " + std::to_string(kMaxKeySize) +
                        " bytes and no control characters. Without one, device, measured_at and values identify the reading."};
        case Refusal::kTemperature:
            return not_finite("temperature", reading.temperature.value_or(0), reading);
        case Refusal::kHumidity:
            return not_finite("humidity", reading.humidity.value_or(0), reading);
        case Refusal::kTooManyMetrics:
            return {.sqlstate = error_codes::kInvalidMetrics,
                    .message = "reading has too many metrics",
                    .detail = "The reading" + of_device(reading) + " has " + std::to_string(reading.metrics.size()) +
                              " metrics; at most " + std::to_string(kMaxMetrics) + " are allowed.",
                    .hint = "Send them in several readings."};
        case Refusal::kMetricName: {
            const auto metric = std::ranges::find_if_not(reading.metrics, is_metric_name, &Metric::name);
            const auto name = metric == reading.metrics.end() ? std::string_view{} : metric->name;
            const auto subject = "The name of a metric" + of_device(reading);
            return {.sqlstate = error_codes::kInvalidMetrics,
                    .message = "metric name is not valid",
                    .detail = is_reserved(name) ? subject + " is " + quoted_for_message(name) + ", which is a field of its own."
                                                : what_is_wrong_with(subject, name, kMaxMetricNameSize),
                    .hint = "A metric name has 1 to " + std::to_string(kMaxMetricNameSize) +
                            " bytes and no control characters; temperature and humidity are sent beside the metrics."};
        }
        case Refusal::kMetricValue: {
            const auto metric = std::ranges::find_if(
                reading.metrics, [](double value) { return !std::isfinite(value); }, &Metric::value);
            auto text = not_finite("metric", metric == reading.metrics.end() ? 0 : metric->value, reading);
            const auto name = metric == reading.metrics.end() ? std::string_view{} : metric->name;
            text.detail.insert(std::string_view("metric").size(), " " + quoted_for_message(name));
            return text;
        }
        case Refusal::kTooEarly:
            return {.sqlstate = error_codes::kMeasuredAtOutOfRange,
                    .message = "measured_at is out of range",
                    .detail = "measured_at" + of_device(reading) + " is " + time_words(reading.measured_at.value_or(0)) +
                              ", before " + time_words(kEarliestMeasuredAt) + ".",
                    .hint = "Check the device's clock. Without measured_at the time of receipt is taken."};
        case Refusal::kTooFarAhead:
            return {.sqlstate = error_codes::kMeasuredAtOutOfRange,
                    .message = "measured_at is out of range",
                    .detail = "measured_at" + of_device(reading) + " is " + time_words(reading.measured_at.value_or(0)) +
                              ", more than " + duration_words(max_ahead) + " ahead of the server's clock, " +
                              time_words(received_at) + ".",
                    .hint =
                        "Check the clocks of device and server, or raise telemetry_cqrs.max_ahead. Without measured_at the "
                        "time of receipt is taken."};
    }
    return {};
}

}  // namespace model
