// Writes an event as JSON text.
#include "model/event_json.hpp"

#include <span>

#include "model/json_text.hpp"
#include "model/reading.hpp"

namespace model {

namespace {

// Appends members, each after `before`: a comma, unless it is the first one.
struct TextWriter {
    std::string& json;
    char before = ',';

    void name(std::string_view name) {
        json += before;
        before = ',';
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
        char before_metric = '{';
        for (const Metric& metric : metrics) {
            json += before_metric;
            append_json_string(json, metric.name);
            json += ':';
            append_json_number(json, metric.value);
            before_metric = ',';
        }
        json += '}';
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
    writer.text("type", kTelemetryIngested);
    write_event_members(fields_of(event), event.metrics.empty() ? nullptr : &event.metrics, writer);
    json += '}';
}

void append_event_json(std::string& json, const LoggedEvent& event) {
    json += "{\"id\":";
    append_json_number(json, event.event_id.value);
    TextWriter writer{json};
    writer.text("type", event.type);
    writer.name("version");
    append_json_number(json, std::int64_t{event.version});
    EventFields fields = fields_of(event);
    fields.idempotency_key = event.idempotency_key;
    write_event_members(fields, event.metrics.empty() ? nullptr : &event.metrics, writer);
    json += '}';
}

void append_payload_json(std::string& json, const LoggedEvent& event) {
    EventFields fields = fields_of(event);
    fields.idempotency_key = event.idempotency_key;
    TextWriter writer{json, '{'};
    write_event_members(fields, event.metrics.empty() ? nullptr : &event.metrics, writer);
    json += '}';
}

}  // namespace model
