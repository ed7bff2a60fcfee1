// A reading as it was recorded: the event log holds it, and projections fold it.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "model/identifiers.hpp"
#include "model/reading.hpp"

namespace model {

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
};

// An event of any type, with what only clients of the log want to know of it.
struct LoggedEvent : Event {
    std::string_view type;
    int version;
    std::optional<std::string_view> idempotency_key;
};

inline constexpr std::string_view kTelemetryIngested = "telemetry.ingested";
inline constexpr int kTelemetryIngestedVersion = 1;

}  // namespace model
