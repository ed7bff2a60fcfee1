// The columns stand here as the install script makes them. InvalidOid stands for a type of the extension, whose oid is not
// known before it is installed.
#include "runtime/own_tables.hpp"

#include "postgres/pg.hpp"

namespace runtime {
namespace {

using postgres::KnownColumn;
using postgres::kOnDelete;
using postgres::kOnInsert;
using postgres::kOnUpdate;
using postgres::OwnTable;
using postgres::TableShape;

constexpr Oid kSummaries = InvalidOid;

// The columns that the registry reads: device_id, region, status.
constexpr KnownColumn kDeviceColumns[] = {{TEXTOID, true}, {TEXTOID, false}, {TEXTOID, true}};
// name, kind, unit, minimum, maximum
constexpr KnownColumn kMetricColumns[] = {
    {TEXTOID, true}, {TEXTOID, true}, {TEXTOID, false}, {FLOAT8OID, false}, {FLOAT8OID, false}};
// device_id, max_ahead, ahead_action, max_age, age_action, max_metrics, rate, burst
constexpr KnownColumn kDevicePolicyColumns[] = {{TEXTOID, true},      {INTERVALOID, false}, {TEXTOID, false},
                                                {INTERVALOID, false}, {TEXTOID, false},     {INT4OID, false},
                                                {FLOAT8OID, false},   {FLOAT8OID, false}};
constexpr KnownColumn kBatchColumns[] = {{INT8OID, true},  {INT4OID, true},        {PG_SNAPSHOTOID, true}, {XID8OID, false},
                                         {INT8OID, false}, {PG_SNAPSHOTOID, true}, {XID8OID, false},       {INT8OID, false},
                                         {INT4OID, true},  {TIMESTAMPTZOID, true}};
constexpr KnownColumn kBatcherColumns[] = {
    {INT4OID, true},  {PG_SNAPSHOTOID, true}, {XID8OID, false},      {INT8OID, false}, {PG_SNAPSHOTOID, true},
    {XID8OID, false}, {INT8OID, false},       {INT8OID, true},       {INT8OID, true},  {INT8OID, true},
    {BOOLOID, true},  {TIMESTAMPTZOID, true}, {TIMESTAMPTZOID, true}};
// projection, generation, purpose, is_filled, is_copied, batch_id, events, as_of, until_batch
constexpr KnownColumn kCursorColumns[] = {{TEXTOID, true},  {INT4OID, true},         {TEXTOID, true},
                                          {BOOLOID, true},  {BOOLOID, true},         {INT8OID, false},
                                          {INT8OID, false}, {TIMESTAMPTZOID, false}, {INT8OID, false}};
// projection, generation, event_id, batch_id
constexpr KnownColumn kParkedColumns[] = {{TEXTOID, true}, {INT4OID, true}, {INT8OID, true}, {INT8OID, true}};
// generation, key, bucket, part, sample_count, first_seen, last_seen, last_received_at, region, metric_names, summaries
constexpr KnownColumn kStateColumns[] = {{INT4OID, true},         {TEXTOID, true},         {TIMESTAMPTZOID, true},
                                         {INT4OID, true},         {INT8OID, false},        {TIMESTAMPTZOID, false},
                                         {TIMESTAMPTZOID, false}, {TIMESTAMPTZOID, false}, {TEXTOID, false},
                                         {TEXTARRAYOID, false},   {kSummaries, false}};

constexpr TableShape all_of(std::span<const KnownColumn> columns) {
    return {columns.data(), static_cast<int>(columns.size()), nullptr, 0, nullptr, 0, true};
}

constexpr OwnTable written_by_statements(const char* name, unsigned writes, bool has_on_conflict,
                                         std::span<const KnownColumn> columns = {}) {
    return {name, 0, writes, has_on_conflict, 0, all_of(columns)};
}

constexpr OwnTable written_natively(const char* name, unsigned writes, unsigned sql_writes, int key_column_count,
                                    std::span<const KnownColumn> columns) {
    return {name, writes, sql_writes, false, key_column_count, all_of(columns)};
}

constexpr OwnTable kInstallationTable = written_by_statements("installation", kOnInsert, false);
constexpr OwnTable kEpochTable = written_by_statements("epoch", kOnInsert, false);
constexpr OwnTable kCheckpointTable = written_by_statements("checkpoint", kOnDelete, false);
constexpr OwnTable kProjectionSettingTable =
    written_by_statements("projection_setting", kOnInsert | kOnUpdate | kOnDelete, true);
constexpr OwnTable kAuditTable = written_by_statements("audit", kOnInsert | kOnUpdate | kOnDelete, true);
constexpr OwnTable kPauseTable = written_by_statements("pause", kOnInsert | kOnDelete, true);
constexpr OwnTable kSubscriptionTable = written_by_statements("subscription", kOnInsert | kOnUpdate | kOnDelete, true);
constexpr OwnTable kSubscriptionShareTable =
    written_by_statements("subscription_share", kOnInsert | kOnUpdate | kOnDelete, false);
constexpr OwnTable kSubscriptionConsumerTable = written_by_statements("subscription_consumer", kOnInsert | kOnDelete, true);
constexpr OwnTable kRedeliveryTable = written_by_statements("redelivery", kOnInsert | kOnUpdate | kOnDelete, true);
constexpr OwnTable kDeadLetterTable = written_by_statements("dead_letter", kOnInsert | kOnUpdate | kOnDelete, true);

constexpr OwnTable kRelayTable = written_by_statements("relay", kOnInsert | kOnUpdate, true);

}  // namespace

constexpr OwnTable kDeviceTable = written_by_statements("device", kOnInsert | kOnUpdate, true, kDeviceColumns);
constexpr OwnTable kMetricTable = written_by_statements("metric", kOnInsert | kOnUpdate, true, kMetricColumns);
constexpr OwnTable kDevicePolicyTable =
    written_by_statements("device_policy", kOnInsert | kOnUpdate | kOnDelete, true, kDevicePolicyColumns);
constexpr OwnTable kOfflineDeviceTable = written_by_statements("offline_device", kOnInsert | kOnDelete, false);
constexpr OwnTable kRejectedReadingsTable =
    written_by_statements("rejected_readings", kOnInsert | kOnUpdate | kOnDelete, false);
constexpr OwnTable kBatchVerdictTable = written_by_statements("batch_verdict", kOnInsert | kOnDelete, false);
constexpr OwnTable kProjectionFailureTable = written_by_statements("projection_failure", kOnInsert | kOnUpdate, false);
constexpr OwnTable kParkedEventTable =
    written_by_statements("parked_event", kOnInsert | kOnUpdate | kOnDelete, false, kParkedColumns);
constexpr OwnTable kBatchTable = written_natively("batch", kOnInsert, kOnUpdate | kOnDelete, 1, kBatchColumns);
constexpr OwnTable kBatcherTable = written_natively("batcher", kOnInsert | kOnUpdate, kOnInsert, 1, kBatcherColumns);
constexpr OwnTable kCursorTable =
    written_natively("cursor", kOnInsert | kOnUpdate, kOnInsert | kOnUpdate | kOnDelete, 2, kCursorColumns);
OwnTable state_table(const char* name) noexcept {
    return written_natively(name, kOnInsert | kOnUpdate, 0, 4, kStateColumns);
}

std::span<const OwnTable* const> own_tables() noexcept {
    static constexpr const OwnTable* kAll[] = {&kInstallationTable,         &kEpochTable,        &kDeviceTable,
                                               &kRejectedReadingsTable,     &kBatchVerdictTable, &kPauseTable,
                                               &kProjectionSettingTable,    &kAuditTable,        &kMetricTable,
                                               &kDevicePolicyTable,         &kParkedEventTable,  &kBatchTable,
                                               &kProjectionFailureTable,    &kBatcherTable,      &kCursorTable,
                                               &kCheckpointTable,           &kSubscriptionTable, &kSubscriptionShareTable,
                                               &kSubscriptionConsumerTable, &kRedeliveryTable,   &kDeadLetterTable,
                                               &kOfflineDeviceTable,        &kRelayTable};
    return kAll;
}

}  // namespace runtime
