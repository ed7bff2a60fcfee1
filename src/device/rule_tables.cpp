// Counts the invalidations of each table.
#include "device/rule_tables.hpp"

#include "postgres/error.hpp"
#include "runtime/installed.hpp"

#include "postgres/pg.hpp"

namespace device {
namespace {

struct Watched {
    Oid oid;
    std::uint64_t changes;
};

// The state of the session. Plain data.
Watched watched[2];
bool is_watching = false;

Watched& watched_of(RuleTable table) noexcept {
    return watched[static_cast<int>(table)];
}

void count_change(Datum, Oid relation) noexcept {
    for (Watched& each : watched) each.changes += relation == InvalidOid || relation == each.oid;
}

void watch(RuleTable table, Oid oid) noexcept {
    Watched& each = watched_of(table);
    if (each.oid == oid) return;
    each.oid = oid;
    ++each.changes;
}

}  // namespace

void refresh_rule_tables() {
    postgres::guarded([] {
        if (!is_watching) CacheRegisterRelcacheCallback(count_change, 0);
        is_watching = true;
        AcceptInvalidationMessages();
    });
    const runtime::Installed& relations = runtime::installed();
    watch(RuleTable::kMetric, relations.metric);
    watch(RuleTable::kDevicePolicy, relations.device_policy);
}

Oid oid_of(RuleTable table) noexcept {
    return watched_of(table).oid;
}

std::uint64_t changes_of(RuleTable table) noexcept {
    return watched_of(table).changes;
}

}  // namespace device
