// Looks names up natively and registers them by SQL, as device/registry.cpp does with devices.
#include "device/metric_names.hpp"

#include <vector>

#include "device/metric_rules.hpp"
#include "device/rule_tables.hpp"
#include "postgres/array.hpp"
#include "postgres/error.hpp"
#include "postgres/key_lookup.hpp"
#include "postgres/own_table.hpp"
#include "postgres/spi.hpp"
#include "postgres/subtransaction.hpp"
#include "postgres/text.hpp"
#include "runtime/own_tables.hpp"
#include "runtime/settings.hpp"
#include "runtime/steady_time.hpp"

#include "postgres/pg.hpp"

namespace device {
namespace {

constexpr runtime::SteadyTime kCountHolds = 1'000'000;  // a second
constexpr int kNameColumns = 1;
constexpr const char* kWaitForRival = "1ms";

// Names that this session has registered since it counted the table. Names that were rolled back are among them.
runtime::SteadyTime counted_at = 0;
std::uint64_t registered_since = 0;

// P. Looks the names up that are still unknown. A row in flight counts, whoever wrote it.
void look_up(MetricName* names, std::size_t count) {
    SnapshotData dirty;
    InitDirtySnapshot(dirty);
    postgres::KeyLookup lookup;
    postgres::open_lookup(lookup, oid_of(RuleTable::kMetric), kNameColumns, &dirty, AccessShareLock);
    for (MetricName* each = names; each < names + count; ++each) {
        CHECK_FOR_INTERRUPTS();
        if (each->standing == MetricStanding::kRegistered) continue;
        const Datum key = postgres::text_datum(each->name);
        if (!postgres::find_row(lookup, &key)) continue;
        each->standing = MetricStanding::kRegistered;
        const bool is_committed = !TransactionIdIsValid(dirty.xmin) && !postgres::is_of_this_transaction(lookup.found);
        if (is_committed) remember_metric(each->name);
    }
    ExecClearTuple(lookup.found);
    postgres::close_lookup(lookup);
}

// P.
std::uint64_t find_all(MetricName* names, std::size_t count) {
    if (runtime::steady_time() - metrics_counted_at() > kCountHolds) reload_metric_rules();
    for (MetricName* each = names; each < names + count; ++each)
        if (is_known_metric(each->name)) each->standing = MetricStanding::kRegistered;
    look_up(names, count);
    if (counted_at != metrics_counted_at()) registered_since = 0;
    counted_at = metrics_counted_at();
    const std::uint64_t registered = counted_metrics() + registered_since;
    const auto most = static_cast<std::uint64_t>(runtime::settings().max_metric_names);
    return registered < most ? most - registered : 0;
}

postgres::Statement register_gauges{
    postgres::SqlCommand::kInsert,
    "INSERT INTO telemetry.metric AS m (name, kind) SELECT n.name, 'gauge' FROM pg_catalog.unnest($1) AS n (name) "
    "ON CONFLICT (name) DO NOTHING",
    1,
    {TEXTARRAYOID},
    nullptr};

// P. Is a rule or a deferred trigger in the way?
bool has_obstacle() {
    Relation table = table_open(oid_of(RuleTable::kMetric), RowExclusiveLock);
    postgres::Obstacle obstacle;
    const bool is_found = postgres::find_statement_obstacle(table, runtime::kMetricTable, obstacle);
    table_close(table, NoLock);
    return is_found;
}

// P.
void insert_names(const MetricName* names, std::size_t count) {
    const postgres::StatementScope statements = postgres::open_statements();
    postgres::set_for_statements("lock_timeout", kWaitForRival);
    auto* unknown = static_cast<Datum*>(palloc(sizeof(Datum) * count));
    int unknown_count = 0;
    for (std::size_t i = 0; i < count; ++i)
        if (names[i].standing == MetricStanding::kUnknown) unknown[unknown_count++] = postgres::text_datum(names[i].name);
    Datum value = postgres::array_datum(unknown, unknown_count, TEXTOID);
    postgres::execute_kept(register_gauges, &value);
    postgres::close_statements(statements);
}

// False: a lock or a row of another session was in the way.
bool try_insert(const std::vector<MetricName>& names) {
    try {
        postgres::in_subtransaction(
            [&names] { postgres::guarded([first = names.data(), count = names.size()] { insert_names(first, count); }); });
        return true;
    } catch (const postgres::PgError& error) {
        // Above READ COMMITTED, a name that was registered after the transaction took its snapshot is a conflict.
        if (error.sqlstate() != ERRCODE_LOCK_NOT_AVAILABLE && error.sqlstate() != ERRCODE_T_R_SERIALIZATION_FAILURE) throw;
    }
    return false;
}

constexpr int kAttempts = 2;

}  // namespace

bool registers_metrics() noexcept {
    return runtime::settings().max_metric_names > 0 && OidIsValid(oid_of(RuleTable::kMetric));
}

std::uint64_t find_metrics(std::span<MetricName> names) {
    return postgres::guarded([first = names.data(), count = names.size()] { return find_all(first, count); });
}

void register_metrics(std::span<const std::string_view> names) {
    if (postgres::guarded(has_obstacle)) return;
    std::vector<MetricName> wanted;
    for (const std::string_view each : names) wanted.push_back({each});
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
        if (try_insert(wanted)) {
            registered_since += names.size();
            return;
        }
        postgres::guarded([first = wanted.data(), count = wanted.size()] { look_up(first, count); });
        std::erase_if(wanted, [](const MetricName& each) { return each.standing == MetricStanding::kRegistered; });
        if (wanted.empty()) return;
    }
}

}  // namespace device
