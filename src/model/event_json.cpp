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

    // Names of members are ASCII without anything to escape.
    void name(std::string_view name) {
        const char opening[] = {before, '"'};
        before = ',';
        json.append(opening, sizeof opening).append(name).append("\":");
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

EventFields fields_of(const LoggedEvent& event) {
    EventFields fields = fields_of(static_cast<const Event&>(event));
    fields.idempotency_key = event.idempotency_key;
    return fields;
}

void write_members(const EventFields& fields, const Event& event, TextWriter& writer) {
    if (event.type == kTelemetryIngested)
        write_event_members(fields, event.metrics.empty() ? nullptr : &event.metrics, writer);
    else
        write_other_event_members(fields, event.details.empty() ? nullptr : &event.details, writer);
}

}  // namespace

void append_event_json(std::string& json, const Event& event) {
    json += "{\"id\":";
    append_json_number(json, event.event_id.value);
    TextWriter writer{json};
    writer.text("type", event.type);
    write_members(fields_of(event), event, writer);
    json += '}';
}

void append_event_json(std::string& json, const LoggedEvent& event) {
    json += "{\"id\":";
    append_json_number(json, event.event_id.value);
    TextWriter writer{json};
    writer.text("type", event.type);
    writer.name("version");
    append_json_number(json, std::int64_t{event.version});
    write_members(fields_of(event), event, writer);
    json += '}';
}

void append_payload_json(std::string& json, const LoggedEvent& event) {
    TextWriter writer{json, '{'};
    write_members(fields_of(event), event, writer);
    json += '}';
}

}  // namespace model
