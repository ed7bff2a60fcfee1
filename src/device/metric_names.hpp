// Registers the names of metrics with the readings that bring them. A name is a row of telemetry.metric.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace device {

enum class MetricStanding : std::uint8_t {
    kUnknown,
    kRegistered,  // also by an open transaction, of this session or of another one
};

// A name to be looked up, with the answer.
struct MetricName {
    std::string_view name;
    MetricStanding standing = MetricStanding::kUnknown;  // answer
};

// Do readings register names?
bool registers_metrics() noexcept;

// Looks up names that is_known_metric() does not know. Returns how many further names telemetry_cqrs.max_metric_names lets
// readings register. The number may be a second old, and it misses names of open transactions.
std::uint64_t find_metrics(std::span<MetricName> names);

// Registers names as gauges, in the caller's transaction. It never waits for a session that is registering the same name, and
// leaves the name to it. If that session rolls back, the next reading registers the name. It also leaves out all names while a
// rule or a deferred trigger on telemetry.metric is in its way, because readings are worth more than their names.
void register_metrics(std::span<const std::string_view> names);

}  // namespace device
