// Gives each refusal its SQLSTATE and its words.
#include "ingest/refused.hpp"

#include <utility>

#include "error_codes.hpp"
#include "model/differences.hpp"
#include "model/name_text.hpp"
#include "postgres/encoding.hpp"
#include "postgres/error.hpp"
#include "postgres/jsonb.hpp"
#include "runtime/settings.hpp"

namespace ingest {
namespace {

RefusedReading refuse(std::uint32_t input_index, int sqlstate, std::string message, std::string detail, std::string hint) {
    return RefusedReading{input_index,
                          sqlstate,
                          postgres::presentable(std::move(message)),
                          postgres::presentable(std::move(detail)),
                          std::move(hint),
                          true,
                          {}};
}

std::string hexadecimal(std::int64_t digest) {
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string text(16, '0');
    for (int i = 0; i < 16; ++i) text[i] = kDigits[(static_cast<std::uint64_t>(digest) >> (60 - 4 * i)) & 15];
    return text;
}

// Two sentences at most. What an earlier reading of the same call sent is known in full. Of a stored event the values are
// known.
std::string what_differs(const event_log::Candidate& candidate) {
    using event_log::AppendOutcome;
    const event_log::Candidate* leader = candidate.leader;
    std::string words;
    if (leader != nullptr && leader->outcome != AppendOutcome::kConflict)
        words = model::differences(leader->reading, candidate.reading);
    else if (const model::StoredReading* stored = leader != nullptr ? leader->stored : candidate.stored)
        words = model::differences(*stored, candidate.reading);
    if (!words.empty()) return "Its " + words + ".";
    return "The values are the same, but only one of the two requests sent the region, or measured_at. Its request digest is " +
           hexadecimal(candidate.stored_digest) + ", and now it is " + hexadecimal(candidate.request_digest) + ".";
}

// JSON as a message can carry it, without quotes around it.
std::string shortened(std::string_view json) {
    std::string text = model::quoted_for_message(json);
    return text.substr(1, text.size() - 2);
}

constexpr const char* kMetricsHint = "Send an object of numbers, such as {\"light\": 185.7}.";

}  // namespace

const model::RefusalText& character_lost() {
    static const model::RefusalText words{
        error_codes::kInvalidJson, "the item has a character that cannot be converted",
        "A text of the item has a character that the encoding of the database or Unicode lacks.", "Leave the character out."};
    return words;
}

model::RefusalText encoded(model::RefusalText utf8) {
    for (std::string* each : {&utf8.message, &utf8.detail, &utf8.hint}) *each = postgres::from_utf8_lossily(*each);
    return utf8;
}

bool is_readable(const SentMetrics& metrics) noexcept {
    return metrics.shape == postgres::NumbersShape::kObjectOfNumbers;
}

RefusedReading refuse_missing_device(std::uint32_t input_index) {
    return refuse(input_index, error_codes::kInvalidDeviceId, "device_id is null", "The reading names no device.",
                  "Send a device_id with every reading.");
}

RefusedReading refuse_metrics_of_size(std::uint32_t input_index, const Request& request) {
    return refuse(input_index, error_codes::kInvalidMetrics, "metrics are too large",
                  "The metrics of device " + model::quoted_for_message(request.reading.device_id) + " have " +
                      std::to_string(request.metrics.excess_size) + " bytes in the server's form; at most " +
                      std::to_string(kMaxMetricsSize) + " are allowed.",
                  kMetricsHint);
}

RefusedReading refuse_metrics(std::uint32_t input_index, const Request& request) {
    const SentMetrics& metrics = request.metrics;
    const std::string of_device = " of device " + model::quoted_for_message(request.reading.device_id);
    const char* sent = postgres::guarded([&metrics] {
        return metrics.offender == nullptr ? postgres::printed(metrics.value)
                                           : postgres::printed_member(metrics.value, metrics.offender);
    });
    const std::string value = shortened(sent == nullptr ? "" : sent);
    switch (metrics.shape) {
        case postgres::NumbersShape::kNotAnObject:
            return refuse(input_index, error_codes::kInvalidMetrics, "metrics are not a JSON object",
                          "The metrics" + of_device + " are " + value + ".", kMetricsHint);
        case postgres::NumbersShape::kNotANumber:
            return refuse(input_index, error_codes::kInvalidMetrics, "metric is not a number",
                          "Metric " + model::quoted_for_message(metrics.offender) + of_device + " is " + value + ".",
                          kMetricsHint);
        case postgres::NumbersShape::kTooNearZero:
            return refuse(input_index, error_codes::kInvalidMetrics, "metric is out of range",
                          "Metric " + model::quoted_for_message(metrics.offender) + of_device + " is " + value +
                              ", which is not zero, but too near to it for double precision.",
                          "Send zero, or a number of double precision.");
        case postgres::NumbersShape::kObjectOfNumbers:
            break;
    }
    return {};
}

RefusedReading refuse_reading(std::uint32_t input_index, model::RefusalText text) {
    return refuse(input_index, text.sqlstate, std::move(text.message), std::move(text.detail), std::move(text.hint));
}

RefusedReading refuse_device(const event_log::Candidate& candidate, device::Standing standing) {
    const std::string seen = "Device " + model::quoted_for_message(candidate.reading.device_id);
    if (standing == device::Standing::kRetired)
        return refuse(candidate.input_index, error_codes::kRetiredDevice, "device is retired",
                      seen + " was taken out of service.",
                      "Set its status in telemetry.device to active again, or stop it from sending.");
    if (standing == device::Standing::kNoRoom)
        return refuse(
            candidate.input_index, error_codes::kUnknownDevice, "device is not registered",
            seen + " is unknown, and the registry has as many devices as telemetry_cqrs.max_devices lets readings register, " +
                std::to_string(runtime::settings().max_devices) + ".",
            "Call telemetry.register_device(), or raise telemetry_cqrs.max_devices.");
    if (runtime::settings().auto_register)
        return refuse(candidate.input_index, error_codes::kUnknownDevice, "device is not registered",
                      seen + " is unknown, and a trigger on telemetry.device kept it from being registered.",
                      "Register it as that trigger requires, or drop the trigger.");
    return refuse(candidate.input_index, error_codes::kUnknownDevice, "device is not registered",
                  seen + " is unknown and telemetry_cqrs.auto_register is off.", "Call telemetry.register_device() first.");
}

RefusedReading refuse_metric_name(const event_log::Candidate& candidate, std::string_view metric) {
    return refuse(
        candidate.input_index, error_codes::kInvalidMetrics, "metric is not registered",
        "Metric " + model::quoted_for_message(metric) + " of device " + model::quoted_for_message(candidate.reading.device_id) +
            " is new, and telemetry.metric has as many names as telemetry_cqrs.max_metric_names lets readings register, " +
            std::to_string(runtime::settings().max_metric_names) + ".",
        "Call telemetry.set_metric(), or raise telemetry_cqrs.max_metric_names.");
}

// Without a key the values are the identity. So only the region can differ between two requests of one identity.
RefusedReading refuse_conflict(const event_log::Candidate& candidate) {
    const auto& key = candidate.reading.idempotency_key;
    const std::string identity = key ? "Key " + model::quoted_for_message(*key) + " of device " : "The reading of device ";
    RefusedReading refused =
        refuse(candidate.input_index, error_codes::kConflict,
               key ? "idempotency key was used for another request" : "reading was sent before with another region",
               identity + model::quoted_for_message(candidate.reading.device_id) + " is stored as event " +
                   std::to_string(candidate.event_id.value) + ". " + what_differs(candidate),
               key ? "Use a new key for a new reading. Send a retry exactly as the first time."
                   : "Send a retry exactly as the first time. A key tells apart readings of the same time and values.");
    refused.event_id = candidate.event_id;
    return refused;
}

std::string reason_of(const RefusedReading& refused) {
    return refused.detail.empty() ? refused.message : refused.message + ": " + refused.detail;
}

void raise(const RefusedReading& refused, std::uint32_t first_index, bool is_batch) {
    std::string detail = refused.detail;
    if (is_batch) detail = "Reading " + std::to_string(first_index + refused.input_index + 1) + " of the call. " + detail;
    throw postgres::Error(refused.sqlstate, refused.message, detail, refused.hint);
}

}  // namespace ingest
