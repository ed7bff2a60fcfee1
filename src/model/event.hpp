// An event as it was recorded. The event log holds readings, which projections fold, and events of other types.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "model/identifiers.hpp"
#include "model/reading.hpp"

namespace model {

// A reading is an event of this type.
inline constexpr std::string_view kTelemetryIngested = "telemetry.ingested";
inline constexpr int kTelemetryIngestedVersion = 1;

// A device has been silent for too long, and it has sent a reading again.
inline constexpr std::string_view kDeviceOffline = "device.offline";
inline constexpr std::string_view kDeviceOnline = "device.online";
inline constexpr int kLivenessVersion = 1;

// `measured_at` of an event that is no reading is the time from which on it is true. It has no values.
struct Event {
    EventId event_id;
    Xid xid;
    std::string_view device_id;
    std::string_view region;  // empty: recorded without one
    Micros measured_at;
    Micros received_at;
    std::optional<double> temperature;
    std::optional<double> humidity;
    std::span<const Metric> metrics;
    std::string_view type = kTelemetryIngested;
    std::string_view details;  // of an event of another type: further members as JSON text, in braces
};

// An event with what only clients of the log want to know of it.
struct LoggedEvent : Event {
    int version;
    std::optional<std::string_view> idempotency_key;
};

}  // namespace model
