// The statistics of single devices as JSON, for caches outside the database. They are those of the view telemetry.device_stats,
// and of telemetry.device_metric_stats in the member "metrics".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "postgres/types.hpp"

namespace postgres {
struct KeyLookup;
}

namespace read_model {

class DeviceReports {
public:
    // Of the rows of this generation that `snapshot` shows. The caller's transaction outlives the object.
    DeviceReports(std::int32_t generation, ::Snapshot snapshot);
    DeviceReports(const DeviceReports&) = delete;
    DeviceReports& operator=(const DeviceReports&) = delete;

    // Appends an object such as {"version":7,"device_id":"a","region":null,"last_seen":"2026-01-02T03:04:05.000000Z",...}.
    // False: the device has no statistics, and nothing is appended. `version` orders the reports of a device; without one the
    // member is left out. Texts are in ASCII, numbers read back the same, and a statistic that does not exist is null.
    bool append(std::string& json, std::string_view device_id, std::optional<std::int64_t> version);

    // Releases the table. The destructor does not, because after an error the abort does.
    void close();

private:
    std::int32_t generation_;
    postgres::KeyLookup* lookup_;
};

}  // namespace read_model
