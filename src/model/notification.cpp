// Builds notification payloads, and gives up on the events as soon as they exceed the limit.
#include "model/notification.hpp"

#include <string_view>

#include "model/json_text.hpp"

namespace model {

namespace {

void append_event(std::string& json, const Event& event) {
    const auto name = [&json](std::string_view quoted_name) { json.append(",").append(quoted_name).append(":"); };
    json += "{\"id\":";
    append_json_number(json, event.event_id.value);
    name("\"type\"");
    append_json_string(json, kTelemetryIngested);
    name("\"device_id\"");
    append_json_string(json, event.device_id);
    if (!event.region.empty()) {
        name("\"region\"");
        append_json_string(json, event.region);
    }
    name("\"measured_at\"");
    append_json_time(json, event.measured_at);
    name("\"received_at\"");
    append_json_time(json, event.received_at);
    if (event.temperature) {
        name("\"temperature\"");
        append_json_number(json, *event.temperature);
    }
    if (event.humidity) {
        name("\"humidity\"");
        append_json_number(json, *event.humidity);
    }
    if (!event.metrics.empty()) {
        name("\"metrics\"");
        char before = '{';
        for (const Metric& metric : event.metrics) {
            json += before;
            append_json_string(json, metric.name);
            json += ':';
            append_json_number(json, metric.value);
            before = ',';
        }
        json += '}';
    }
    json += '}';
}

}  // namespace

std::string notification_payload(BatchId batch, Epoch epoch, std::int64_t count, std::span<const Event> events,
                                 std::size_t limit) {
    std::string json = "{\"v\":";
    append_json_number(json, std::int64_t{kNotificationVersion});
    json += ",\"batch\":";
    append_json_number(json, batch.value);
    json += ",\"epoch\":";
    append_json_number(json, std::int64_t{epoch.value});
    json += ",\"count\":";
    append_json_number(json, count);
    const auto pointer_size = json.size();

    if (!events.empty() && static_cast<std::int64_t>(events.size()) == count) {
        json += ",\"events\":";
        char before = '[';
        for (const Event& event : events) {
            json += before;
            append_event(json, event);
            before = ',';
            if (json.size() + std::string_view("]}").size() > limit) {
                json.resize(pointer_size);
                return json += '}';
            }
        }
        json += ']';
    }
    return json += '}';
}

}  // namespace model
