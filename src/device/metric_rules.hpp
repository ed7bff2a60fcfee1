// Remembers telemetry.metric for the session: which names of metrics are registered, and the limits of each.
//
// 1. It reads the whole table at first, and again after each change of limits (device/rule_tables.hpp). The limits are those
// that
//    are committed, or that the own transaction has set, whatever its isolation level.
// 2. A name that a reading registers changes no limits, so no session is told of it. A session that does not know a name looks
// it
//    up (device/metric_names.hpp).
// 3. It never remembers a plain name that the own transaction registered, because nothing tells it of a rollback.
//
// A name takes about 100 bytes, and telemetry_cqrs.max_metric_names bounds the names that readings register.
#pragma once

#include <cstdint>
#include <string_view>

#include "model/policy.hpp"
#include "runtime/steady_time.hpp"

namespace device {

// Brings the memory up to date. A command calls this before it judges. Throws PgError(TC204) if a column has another type.
void refresh_metric_rules();

// Has any metric limits?
bool has_metric_limits() noexcept;

// The limits of a metric; null: it has none. They hold until the next refresh.
const model::MetricLimits* limits_of(std::string_view metric) noexcept;

// Is the name remembered?
bool is_known_metric(std::string_view metric) noexcept;

// P. Reads the table anew.
void reload_metric_rules();

// P. Remembers a name without limits whose row is committed.
void remember_metric(std::string_view metric);

// How many rows the table had when it was read, and when that was.
std::uint64_t counted_metrics() noexcept;
runtime::SteadyTime metrics_counted_at() noexcept;

}  // namespace device
