// Tells the caches of a session when the tables of rules have changed: telemetry.metric and telemetry.device_policy. A trigger
// on each of them sends a relcache invalidation, which the server delivers with the commit of the change. In the session that
// makes the change it delivers the invalidation at once, and again when the change is rolled back.
#pragma once

#include <cstdint>

#include "postgres/types.hpp"

namespace device {

enum class RuleTable : std::uint8_t { kMetric, kDevicePolicy };

// Takes in what other sessions have changed, and finds the tables. A command calls this before it judges.
void refresh_rule_tables();

// InvalidOid: the extension is of version 1.0, which has no such table.
Oid oid_of(RuleTable table) noexcept;

// How often the table may have changed. A cache whose number is another one is stale.
std::uint64_t changes_of(RuleTable table) noexcept;

}  // namespace device
