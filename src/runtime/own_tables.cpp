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

constexpr Oid kSummary = InvalidOid;

// The columns that the registry reads: device_id, region, status.
constexpr KnownColumn kDeviceColumns[] = {{TEXTOID, true}, {TEXTOID, false}, {TEXTOID, true}};
constexpr KnownColumn kBatchColumns[] = {{INT8OID, true},  {INT4OID, true},        {PG_SNAPSHOTOID, true}, {XID8OID, false},
                                         {INT8OID, false}, {PG_SNAPSHOTOID, true}, {XID8OID, false},       {INT8OID, false},
                                         {INT4OID, true},  {TIMESTAMPTZOID, true}};
constexpr KnownColumn kBatcherColumns[] = {
    {INT4OID, true},  {PG_SNAPSHOTOID, true}, {XID8OID, false},      {INT8OID, false}, {PG_SNAPSHOTOID, true},
    {XID8OID, false}, {INT8OID, false},       {INT8OID, true},       {INT8OID, true},  {INT8OID, true},
    {BOOLOID, true},  {TIMESTAMPTZOID, true}, {TIMESTAMPTZOID, true}};
// projection, batch_id, events, as_of
constexpr KnownColumn kCursorColumns[] = {{TEXTOID, true}, {INT8OID, false}, {INT8OID, false}, {TIMESTAMPTZOID, false}};
// telemetry.region_state has all but the last.
constexpr KnownColumn kGroupColumns[] = {{TEXTOID, true},        {INT8OID, true},        {TIMESTAMPTZOID, true},
                                         {TIMESTAMPTZOID, true}, {TIMESTAMPTZOID, true}, {kSummary, false},
                                         {kSummary, false},      {TEXTOID, false}};
constexpr KnownColumn kMetricColumns[] = {{TEXTOID, true}, {TEXTOID, true}, {kSummary, true}};

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
constexpr OwnTable kPauseTable = written_by_statements("pause", kOnInsert | kOnDelete, true);

}  // namespace

constexpr OwnTable kDeviceTable = written_by_statements("device", kOnInsert, true, kDeviceColumns);
constexpr OwnTable kRejectedReadingsTable = written_by_statements("rejected_readings", kOnInsert, false);
constexpr OwnTable kProjectionFailureTable = written_by_statements("projection_failure", kOnInsert | kOnUpdate, false);
constexpr OwnTable kBatchTable = written_natively("batch", kOnInsert, kOnUpdate | kOnDelete, 1, kBatchColumns);
constexpr OwnTable kBatcherTable = written_natively("batcher", kOnInsert | kOnUpdate, kOnInsert, 1, kBatcherColumns);
constexpr OwnTable kCursorTable = written_by_statements("cursor", kOnInsert | kOnUpdate, true, kCursorColumns);
constexpr OwnTable kDeviceStateTable = written_natively("device_state", kOnInsert | kOnUpdate, 0, 1, kGroupColumns);
constexpr OwnTable kRegionStateTable =
    written_natively("region_state", kOnInsert | kOnUpdate, 0, 1, std::span(kGroupColumns).first(std::size(kGroupColumns) - 1));
constexpr OwnTable kDeviceMetricStateTable =
    written_natively("device_metric_state", kOnInsert | kOnUpdate, 0, 2, kMetricColumns);
constexpr OwnTable kRegionMetricStateTable =
    written_natively("region_metric_state", kOnInsert | kOnUpdate, 0, 2, kMetricColumns);

std::span<const OwnTable* const> own_tables() noexcept {
    static constexpr const OwnTable* kAll[] = {&kInstallationTable, &kEpochTable,
                                               &kDeviceTable,       &kRejectedReadingsTable,
                                               &kPauseTable,        &kProjectionFailureTable,
                                               &kBatchTable,        &kBatcherTable,
                                               &kCursorTable,       &kCheckpointTable,
                                               &kDeviceStateTable,  &kDeviceMetricStateTable,
                                               &kRegionStateTable,  &kRegionMetricStateTable};
    return kAll;
}

}  // namespace runtime
