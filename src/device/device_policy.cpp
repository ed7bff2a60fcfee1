// Remembers devices in a table of small buckets, as device/known_devices.cpp does. In a full bucket, new devices replace the
// others in turn.
#include "device/device_policy.hpp"

#include "device/rule_tables.hpp"
#include "postgres/error.hpp"
#include "postgres/key_lookup.hpp"
#include "postgres/own_table.hpp"
#include "postgres/text.hpp"
#include "runtime/own_tables.hpp"

#include "postgres/pg.hpp"

namespace device {
namespace {

enum PolicyColumn { kDeviceId, kMaxAhead, kAheadAction, kMaxAge, kAgeAction, kMaxMetrics, kRate, kBurst, kColumns };

constexpr uint32 kBuckets = 2048;
constexpr uint32 kWays = 4;

struct KnownPolicy {
    uint64 hash;
    text* device_id;  // null: empty
    bool has_policy;
    DevicePolicy policy;
};

// The state of the session. Plain data.
struct Memory {
    MemoryContext context;
    KnownPolicy* devices;  // kBuckets runs of kWays; null: the table is empty, or was not looked at
    bool is_read;
    std::uint64_t changes;  // of the table, when it was looked at
};
Memory memory{};
uint32 next_victim = 0;

// P. A month counts as 30 days.
std::optional<model::Micros> micros_in(TupleTableSlot* row, PolicyColumn column) {
    if (row->tts_isnull[column]) return std::nullopt;
    const Interval* interval = DatumGetIntervalP(row->tts_values[column]);
    return interval->time + (interval->day + std::int64_t{DAYS_PER_MONTH} * interval->month) * USECS_PER_DAY;
}

// P.
std::optional<model::LimitAction> action_in(TupleTableSlot* row, PolicyColumn column) {
    if (row->tts_isnull[column]) return std::nullopt;
    const std::string_view name = postgres::view_of(row->tts_values[column]);
    if (name == "clamp") return model::LimitAction::kClamp;
    return name == "quarantine" ? model::LimitAction::kQuarantine : model::LimitAction::kReject;
}

std::optional<double> number_in(TupleTableSlot* row, PolicyColumn column) {
    if (row->tts_isnull[column]) return std::nullopt;
    return DatumGetFloat8(row->tts_values[column]);
}

// P.
DevicePolicy policy_in(TupleTableSlot* row) {
    DevicePolicy policy{
        micros_in(row, kMaxAhead), action_in(row, kAheadAction), micros_in(row, kMaxAge), action_in(row, kAgeAction), {},
        number_in(row, kRate),     number_in(row, kBurst)};
    if (!row->tts_isnull[kMaxMetrics])
        policy.max_metrics = static_cast<std::size_t>(DatumGetInt32(row->tts_values[kMaxMetrics]));
    return policy;
}

// P. Looks whether the table has any row.
bool has_rows(Oid table) {
    if (!OidIsValid(table)) return false;
    Relation relation = table_open(table, AccessShareLock);
    postgres::refuse_changed_columns(relation, runtime::kDevicePolicyTable);
    Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
    TableScanDesc scan = table_beginscan(relation, snapshot, 0, nullptr);
    TupleTableSlot* slot = table_slot_create(relation, nullptr);
    const bool is_found = table_scan_getnextslot(scan, ForwardScanDirection, slot);
    ExecDropSingleTupleTableSlot(slot);
    table_endscan(scan);
    UnregisterSnapshot(snapshot);
    table_close(relation, NoLock);
    return is_found;
}

// P.
void look_at_table() {
    if (memory.context == nullptr)
        memory.context = AllocSetContextCreate(TopMemoryContext, "telemetry_cqrs device policies", ALLOCSET_DEFAULT_SIZES);
    memory = {memory.context, nullptr, false, 0};
    MemoryContextReset(memory.context);
    // A change that is announced from here on may be missing below. Then the number differs, and the next refresh looks again.
    const std::uint64_t changes = changes_of(RuleTable::kDevicePolicy);
    if (has_rows(oid_of(RuleTable::kDevicePolicy)))
        memory.devices =
            static_cast<KnownPolicy*>(MemoryContextAllocZero(memory.context, sizeof(KnownPolicy) * kBuckets * kWays));
    memory.changes = changes;
    memory.is_read = true;
}

// P.
void look_up(KnownPolicy& known, std::string_view device_id, uint64 hash) {
    Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
    postgres::KeyLookup lookup;
    postgres::open_lookup(lookup, oid_of(RuleTable::kDevicePolicy), kColumns, snapshot, AccessShareLock);
    const Datum key = postgres::text_datum(device_id);
    const bool has_policy = postgres::find_row(lookup, &key);
    const DevicePolicy policy = has_policy ? policy_in(lookup.found) : DevicePolicy{};
    ExecClearTuple(lookup.found);
    postgres::close_lookup(lookup);
    UnregisterSnapshot(snapshot);
    if (known.device_id != nullptr) pfree(known.device_id);
    known.device_id = nullptr;
    const MemoryContext caller = MemoryContextSwitchTo(memory.context);
    text* id_copy = postgres::new_text(device_id);
    MemoryContextSwitchTo(caller);
    known = KnownPolicy{hash, id_copy, has_policy, policy};
}

}  // namespace

void refresh_device_policies() {
    refresh_rule_tables();
    if (memory.is_read && memory.changes == changes_of(RuleTable::kDevicePolicy)) return;
    postgres::guarded(look_at_table);
}

bool has_device_policies() noexcept {
    return memory.devices != nullptr;
}

std::optional<DevicePolicy> policy_of(std::string_view device_id) {
    if (!has_device_policies()) return std::nullopt;
    const uint64 hash = postgres::hash_of(device_id);
    KnownPolicy* const bucket = memory.devices + hash % kBuckets * kWays;
    KnownPolicy* known = nullptr;
    for (KnownPolicy* each = bucket; each < bucket + kWays && known == nullptr; ++each)
        if (each->device_id == nullptr || (each->hash == hash && postgres::view_of(each->device_id) == device_id)) known = each;
    if (known == nullptr) known = bucket + next_victim++ % kWays;
    if (known->device_id == nullptr || known->hash != hash || postgres::view_of(known->device_id) != device_id)
        postgres::guarded([known, device_id, hash] { look_up(*known, device_id, hash); });
    if (!known->has_policy) return std::nullopt;
    return known->policy;
}

}  // namespace device
