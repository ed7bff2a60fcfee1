// The policies of single devices: rows of telemetry.device_policy. They count instead of the settings.
//
// A session remembers up to 8,192 devices, with a policy or without, and forgets them after each change of the table
// (device/rule_tables.hpp). The policies are those that are committed, or that the own transaction has set, whatever its
// isolation level. While the table is empty, a look costs one comparison.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "model/policy.hpp"

namespace device {

// A member without a value: the setting of the installation counts. Plain data.
struct DevicePolicy {
    std::optional<model::Micros> max_ahead;
    std::optional<model::LimitAction> ahead_action;
    std::optional<model::Micros> max_age;  // 0: any time since 1970 will do
    std::optional<model::LimitAction> age_action;
    std::optional<std::size_t> max_metrics;
    std::optional<double> rate;   // readings a second
    std::optional<double> burst;  // readings at once
};

// Brings the memory up to date. A command calls this before its first `policy_of`. Throws PgError(TC204) if a column has
// another type.
void refresh_device_policies();

// Has any device a policy of its own?
bool has_device_policies() noexcept;

// Nothing: the device has none. Throws PgError.
std::optional<DevicePolicy> policy_of(std::string_view device_id);

}  // namespace device
