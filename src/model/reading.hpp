// A reading that a client asks to store. Its texts are views into the caller's memory. A value is absent where the client sent
// none.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "model/identifiers.hpp"

namespace model {

struct Metric {
    std::string_view name;
    double value;
};

struct Reading {
    std::string_view device_id;
    std::optional<Micros> measured_at;  // the device's clock
    std::optional<double> temperature;  // °C
    std::optional<double> humidity;     // %RH
    std::optional<std::string_view> idempotency_key;
    std::span<const Metric> metrics;  // names unique, in one fixed order (jsonb's)
    std::optional<std::string_view> region;
};

}  // namespace model
