// Says in words how a request differs from the reading that is stored under its identity.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "model/identifiers.hpp"
#include "model/reading.hpp"

namespace model {

// A reading as the log holds it. There the server has filled in the region and measured_at that the client left out.
struct StoredReading {
    Micros measured_at = 0, received_at = 0;
    std::optional<double> temperature, humidity;
    std::span<const Metric> metrics;
    std::optional<std::string_view> region;
};

// The fields that differ, each with both values: "temperature was 21.5, now 22; humidity was 40, now not sent". It names some
// ten fields at most. Empty: no value differs, but one of the two left out a field that the server filled in.
std::string differences(const StoredReading& stored, const Reading& sent);

// The same where the first request is at hand as well. It is never empty for two requests of different digests.
std::string differences(const Reading& first, const Reading& sent);

}  // namespace model
