// Puts the flaws of JSON items into words.
#include "model/item_flaw.hpp"

#include <algorithm>

#include "error_codes.hpp"

namespace model {
namespace {

constexpr const char* kFieldsHint =
    "The fields are device_id, measured_at, temperature, humidity, idempotency_key, metrics and region. Send other values as "
    "metrics.";
constexpr const char* kMetricsHint = "Send an object of numbers, such as {\"light\": 185.7}.";
constexpr const char* kTimeHint =
    "Send a time with its zone, such as \"2026-01-02T03:04:05.678Z\" or \"2026-01-02T04:04:05+01:00\".";
constexpr const char* kLeaveOutHint = "Send null, or leave it out, where there is no value.";

std::string_view name_of(ItemField field) noexcept {
    return field == ItemField::kUnknown ? "field" : kItemFieldNames[static_cast<std::size_t>(field)];
}

bool is_text(ItemField field) noexcept {
    return field == ItemField::kDeviceId || field == ItemField::kIdempotencyKey || field == ItemField::kRegion;
}

// The code of values that no reading could have.
int code_of(ItemField field) noexcept {
    switch (field) {
        case ItemField::kDeviceId:
            return error_codes::kInvalidDeviceId;
        case ItemField::kIdempotencyKey:
            return error_codes::kInvalidKey;
        case ItemField::kMetrics:
            return error_codes::kInvalidMetrics;
        case ItemField::kRegion:
            return error_codes::kInvalidRegion;
        case ItemField::kMeasuredAt:
        case ItemField::kTemperature:
        case ItemField::kHumidity:
        case ItemField::kUnknown:
            break;
    }
    return error_codes::kInvalidJson;
}

class Words {
public:
    Words(const ItemFlaw& flaw, std::string_view item, std::string_view device_id)
        : flaw_(flaw), item_(item), device_id_(device_id), field_(name_of(flaw.field)) {}

    RefusalText of_item() const {
        switch (flaw_.kind) {
            case ItemFlawKind::kNone:
                return {};
            case ItemFlawKind::kNotAnObject:
                return {.sqlstate = error_codes::kInvalidJson,
                        .message = "reading is not a JSON object",
                        .detail = "The item is " + quoted_for_message(item_) + ".",
                        .hint = "Send an object such as {\"device_id\": \"dev-1\", \"temperature\": 21.5}."};
            case ItemFlawKind::kNotJson:
                return not_json();
            case ItemFlawKind::kMissingDevice:
                return {.sqlstate = error_codes::kInvalidDeviceId,
                        .message = "device_id is missing",
                        .detail = "The reading names no device.",
                        .hint = "Send a device_id with every reading."};
            case ItemFlawKind::kUnknownField:
                return {.sqlstate = error_codes::kInvalidJson,
                        .message = "unknown field in a reading",
                        .detail = "The reading" + of_device() + " has the field " + quoted_for_message(flaw_.name) + ".",
                        .hint = kFieldsHint};
            case ItemFlawKind::kRepeatedField:
                return {.sqlstate = error_codes::kInvalidJson,
                        .message = "repeated field in a reading",
                        .detail = "The reading" + of_device() + " has the field \"" + field_ + "\" more than once.",
                        .hint = "Send each field once."};
            case ItemFlawKind::kNulCharacter:
            case ItemFlawKind::kLoneSurrogate:
                return no_character();
            default:
                return flaw_.field == ItemField::kMeasuredAt ? of_time() : of_value();
        }
    }

private:
    std::string of_device() const { return device_id_.empty() ? "" : " of device " + quoted_for_message(device_id_); }

    std::string seen() const { return field_ + of_device() + " is " + flaw_.sent; }

    std::string metric() const { return "Metric " + quoted_for_message(flaw_.name) + of_device(); }

    RefusalText not_json() const {
        const auto rest = item_.substr(std::min(flaw_.position, item_.size()));
        return {.sqlstate = error_codes::kInvalidJson,
                .message = "reading is not JSON",
                .detail = "After " + std::to_string(item_.size() - rest.size()) + " bytes of the reading" + of_device() +
                          " follows " + quoted_for_message(rest) + ".",
                .hint =
                    "Send JSON as RFC 8259 has it. It knows no comments, no commas before a bracket, and neither NaN nor "
                    "Infinity."};
    }

    RefusalText no_character() const {
        const bool is_metric = flaw_.field == ItemField::kMetrics;
        const std::string subject = is_metric ? "The name of a metric" : field_;
        return {.sqlstate = code_of(flaw_.field),
                .message = is_metric ? "metric name is not valid" : field_ + " is not valid",
                .detail = subject + of_device() +
                          (flaw_.kind == ItemFlawKind::kNulCharacter ? " has the character \\u0000."
                                                                     : " has one half of a surrogate pair."),
                .hint = flaw_.kind == ItemFlawKind::kNulCharacter
                            ? "No text of the database has this character."
                            : "Send characters beyond U+FFFF as a pair of escapes, or as UTF-8."};
    }

    RefusalText of_time() const {
        RefusalText text{.sqlstate = error_codes::kInvalidJson,
                         .message = "measured_at is not a time",
                         .detail = seen() + ".",
                         .hint = std::string(kTimeHint) + " Without measured_at the time of receipt is taken."};
        if (flaw_.kind == ItemFlawKind::kTimeOutOfRange) {
            text.sqlstate = error_codes::kMeasuredAtOutOfRange;
            text.message = "measured_at is out of range";
        } else if (flaw_.kind == ItemFlawKind::kTimeWithoutZone) {
            text.message = "measured_at has no time zone";
        } else if (flaw_.kind == ItemFlawKind::kTimeWithoutUnit) {
            text.message = "measured_at is a number without a unit";
            text.hint = "Say what it counts from 1970-01-01 on: time_unit => 's', 'ms', 'us' or 'ns'.";
        }
        return text;
    }

    RefusalText of_metrics() const {
        RefusalText text{.sqlstate = error_codes::kInvalidMetrics, .message = {}, .detail = {}, .hint = kMetricsHint};
        switch (flaw_.kind) {
            case ItemFlawKind::kMetricNotANumber:
                text.message = "metric is not a number";
                text.detail = metric() + " is " + flaw_.sent + ".";
                break;
            case ItemFlawKind::kRepeatedMetric:
                text.message = "repeated metric";
                text.detail = metric() + " is there more than once.";
                text.hint = "Send each metric once.";
                break;
            case ItemFlawKind::kTooManyMetrics:
                text.message = "too many metrics";
                text.detail = "The reading" + of_device() + " has " + std::to_string(flaw_.count) + "; at most " +
                              std::to_string(kMostMetrics) + " are allowed.";
                text.hint = "Send several readings.";
                break;
            case ItemFlawKind::kNotFinite:
                text.sqlstate = error_codes::kNotFinite;
                text.message = "metric is not a finite number";
                text.detail = metric() + " is " + flaw_.sent + ".";
                text.hint = kLeaveOutHint;
                break;
            case ItemFlawKind::kTooNearZero:
                text.message = "metric is out of range";
                text.detail = metric() + " is " + flaw_.sent + ".";
                text.hint = "Send zero, or a number of double precision.";
                break;
            default:
                text.message = "metrics are not a JSON object";
                text.detail = "metrics" + of_device() + " are " + flaw_.sent + ".";
        }
        return text;
    }

    RefusalText of_value() const {
        if (flaw_.field == ItemField::kMetrics) return of_metrics();
        RefusalText text{.sqlstate = error_codes::kInvalidJson, .message = {}, .detail = seen() + ".", .hint = {}};
        if (is_text(flaw_.field)) {
            text.message = field_ + " is not a text";
            text.hint = flaw_.kind == ItemFlawKind::kNumberForText
                            ? "Put the number in quotes, so that each digit of it counts."
                            : "Send a text in quotes.";
            return text;
        }
        switch (flaw_.kind) {
            case ItemFlawKind::kNotFinite:
                text.sqlstate = error_codes::kNotFinite;
                text.message = field_ + " is not a finite number";
                text.hint = kLeaveOutHint;
                break;
            case ItemFlawKind::kTooNearZero:
                text.message = field_ + " is out of range";
                text.hint = "Send zero, or a number of double precision.";
                break;
            default:
                text.message = field_ + " is not a number";
                text.hint = "Send a number without quotes, such as 21.5. " + std::string(kLeaveOutHint);
        }
        return text;
    }

    const ItemFlaw& flaw_;
    std::string_view item_, device_id_;
    std::string field_;
};

}  // namespace

RefusalText describe(const ItemFlaw& flaw, std::string_view item, std::string_view device_id) {
    return Words(flaw, item, device_id).of_item();
}

}  // namespace model
