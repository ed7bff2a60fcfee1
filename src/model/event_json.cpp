// Writes an event as JSON text.
#include "model/event_json.hpp"

#include <span>

#include "model/json_text.hpp"
#include "model/reading.hpp"

namespace model {

namespace {

// Appends members, each after a comma.
struct TextWriter {
    std::string& json;

    void name(std::string_view name) {
        json += ',';
        append_json_string(json, name);
        json += ':';
    }
    void text(std::string_view member, std::string_view value) {
        name(member);
        append_json_string(json, value);
    }
    void time(std::string_view member, Micros at) {
        name(member);
        append_json_time(json, at);
    }
    void number(std::string_view member, double value) {
        name(member);
        append_json_number(json, value);
    }
    void metrics(std::string_view member, std::span<const Metric> metrics) {
        name(member);
        char before = '{';
        for (const Metric& metric : metrics) {
            json += before;
            append_json_string(json, metric.name);
            json += ':';
            append_json_number(json, metric.value);
            before = ',';
        }
        json += '}';
    }
    // The members stand in braces.
    void members(std::string_view object) {
        if (object.size() <= 2) return;
        json += ',';
        json += object.substr(1, object.size() - 2);
    }
};

EventFields fields_of(const Event& event) {
    EventFields fields{.device_id = event.device_id,
                       .region = {},
                       .measured_at = event.measured_at,
                       .received_at = event.received_at,
                       .temperature = event.temperature,
                       .humidity = event.humidity,
                       .idempotency_key = {}};
    if (!event.region.empty()) fields.region = event.region;
    return fields;
}

}  // namespace

void append_event_json(std::string& json, const Event& event) {
    json += "{\"id\":";
    append_json_number(json, event.event_id.value);
    TextWriter writer{json};
    writer.text("type", event.type);
    if (event.type == kTelemetryIngested)
        write_event_members(fields_of(event), event.metrics.empty() ? nullptr : &event.metrics, writer);
    else
        write_other_event_members(fields_of(event), event.details.empty() ? nullptr : &event.details, writer);
    json += '}';
}

}  // namespace model
