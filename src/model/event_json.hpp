// Renders an event as a JSON object, and fixes the names of its members and their order. Every rendering in C++ comes from
// here. The view telemetry.events repeats the names, and test/tap/214_event_json.pl compares them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "model/event.hpp"
#include "model/identifiers.hpp"

namespace model {

// The values of the members. An absent value gets no member. Plain data, so that a guarded block may hold it.
struct EventFields {
    std::optional<std::string_view> device_id;
    std::optional<std::string_view> region;
    std::optional<Micros> measured_at;
    std::optional<Micros> received_at;
    std::optional<double> temperature;
    std::optional<double> humidity;
    std::optional<std::string_view> idempotency_key;
};

// Gives each member of a reading to `writer`, which decides how a value looks. `metrics` have a form that the writer knows;
// null: absent. This function and the next one hold nothing that has a destructor, so that the writer may be server code.
template <typename Metrics, typename Writer>
void write_event_members(const EventFields& fields, Metrics* metrics, Writer& writer) {
    if (fields.device_id) writer.text("device_id", *fields.device_id);
    if (fields.region) writer.text("region", *fields.region);
    if (fields.measured_at) writer.time("measured_at", *fields.measured_at);
    if (fields.received_at) writer.time("received_at", *fields.received_at);
    if (fields.temperature) writer.number("temperature", *fields.temperature);
    if (fields.humidity) writer.number("humidity", *fields.humidity);
    if (metrics != nullptr) writer.metrics("metrics", *metrics);
    if (fields.idempotency_key) writer.text("idempotency_key", *fields.idempotency_key);
}

// The same for an event that is no reading. What its type adds stands in `details`, an object whose members become members of
// the event; null: absent.
template <typename Details, typename Writer>
void write_other_event_members(const EventFields& fields, Details* details, Writer& writer) {
    if (fields.device_id) writer.text("device_id", *fields.device_id);
    if (fields.region) writer.text("region", *fields.region);
    if (fields.measured_at) writer.time("since", *fields.measured_at);
    if (fields.received_at) writer.time("received_at", *fields.received_at);
    if (details != nullptr) writer.members(*details);
    if (fields.idempotency_key) writer.text("idempotency_key", *fields.idempotency_key);
}

// Appends the event as JSON text in ASCII. Times are in UTC, and numbers read back the same:
//
//   {"id":12,"type":"telemetry.ingested","device_id":"sensor-1","region":"eu-west","measured_at":"2026-01-02T03:04:05.000000Z",
//    "received_at":"2026-01-02T03:04:05.200000Z","temperature":21.5,"humidity":40.25,"metrics":{"co2":412}}
//   {"id":13,"type":"device.offline","device_id":"sensor-1","region":"eu-west","since":"2026-01-02T03:07:05.200000Z",
//    "received_at":"2026-01-02T03:07:09.000000Z","state":"offline","last_received_at":"2026-01-02T03:04:05.200000Z"}
//
// The texts of the event are in UTF-8.
void append_event_json(std::string& json, const Event& event);

// Does the same for an event of any type. After the type it also has the version, and at the end the idempotency key.
void append_event_json(std::string& json, const LoggedEvent& event);

// Appends the members in the same form, as an object of their own. The result is the payload of the event, for clients that get
// id and type beside it. It also has the idempotency key.
void append_payload_json(std::string& json, const LoggedEvent& event);

}  // namespace model
