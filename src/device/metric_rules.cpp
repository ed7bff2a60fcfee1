// Keeps the names in a hash table with open addressing, which is at most half full.
#include "device/metric_rules.hpp"

#include <cstring>
#include <new>

#include "device/rule_tables.hpp"
#include "postgres/error.hpp"
#include "postgres/key_lookup.hpp"
#include "postgres/own_table.hpp"
#include "postgres/text.hpp"
#include "runtime/own_tables.hpp"

#include "postgres/pg.hpp"

namespace device {
namespace {

enum MetricColumn { kName, kKind, kUnit, kMinimum, kMaximum };

struct KnownMetric {
    const model::MetricLimits* limits;  // null: none
    std::uint32_t size;                 // of the name, whose bytes follow

    const char* name() const noexcept { return reinterpret_cast<const char*>(this + 1); }
};

struct Slot {
    std::uint64_t hash;
    const KnownMetric* metric;  // null: empty
};

constexpr std::uint64_t kFewestSlots = 256;

// The state of the session. Plain data.
struct Memory {
    MemoryContext context;
    Slot* slots;  // null: nothing was read
    std::uint64_t slot_count, known_count, row_count;
    bool has_limits;
    std::uint64_t changes;  // of the table, when it was read
    runtime::SteadyTime read_at;
};
Memory memory{};

// The session draws it, so that no sender can choose names that collide.
std::uint64_t seed = 0;

const KnownMetric* find(std::string_view name) noexcept {
    if (memory.slots == nullptr) return nullptr;
    const std::uint64_t hash = postgres::hash_of(name, seed);
    for (std::uint64_t at = hash;; ++at) {
        const Slot& slot = memory.slots[at & (memory.slot_count - 1)];
        if (slot.metric == nullptr) return nullptr;
        if (slot.hash == hash && slot.metric->size == name.size() &&
            std::memcmp(slot.metric->name(), name.data(), name.size()) == 0)
            return slot.metric;
    }
}

void place(Slot* slots, std::uint64_t slot_count, const Slot& placed) noexcept {
    std::uint64_t at = placed.hash;
    while (slots[at & (slot_count - 1)].metric != nullptr) ++at;
    slots[at & (slot_count - 1)] = placed;
}

// P.
Slot* new_slots(std::uint64_t count) {
    return static_cast<Slot*>(
        MemoryContextAllocExtended(memory.context, sizeof(Slot) * count, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO));
}

// P.
void make_room() {
    if (2 * memory.known_count < memory.slot_count) return;
    const std::uint64_t more = 2 * memory.slot_count;
    Slot* slots = new_slots(more);
    for (std::uint64_t i = 0; i < memory.slot_count; ++i)
        if (memory.slots[i].metric != nullptr) place(slots, more, memory.slots[i]);
    Slot* old = memory.slots;
    memory.slots = slots;
    memory.slot_count = more;
    pfree(old);
}

// P.
void add(std::string_view name, const model::MetricLimits* limits) {
    make_room();
    auto* metric = static_cast<KnownMetric*>(MemoryContextAlloc(memory.context, sizeof(KnownMetric) + name.size()));
    metric->limits = limits;
    metric->size = static_cast<std::uint32_t>(name.size());
    if (!name.empty()) std::memcpy(reinterpret_cast<char*>(metric + 1), name.data(), name.size());
    place(memory.slots, memory.slot_count, {postgres::hash_of(name, seed), metric});
    ++memory.known_count;
}

// P. Null: the row has none.
const model::MetricLimits* limits_in(TupleTableSlot* row) {
    if (row->tts_isnull[kMinimum] && row->tts_isnull[kMaximum]) return nullptr;
    auto* limits = new (MemoryContextAlloc(memory.context, sizeof(model::MetricLimits))) model::MetricLimits;
    if (!row->tts_isnull[kMinimum]) limits->minimum = DatumGetFloat8(row->tts_values[kMinimum]);
    if (!row->tts_isnull[kMaximum]) limits->maximum = DatumGetFloat8(row->tts_values[kMaximum]);
    if (!row->tts_isnull[kUnit]) {
        const MemoryContext caller = MemoryContextSwitchTo(memory.context);
        limits->unit = postgres::view_of(postgres::copied_text(row->tts_values[kUnit]));
        MemoryContextSwitchTo(caller);
    }
    return limits;
}

// P.
void take_row(TupleTableSlot* row) {
    ++memory.row_count;
    if (row->tts_isnull[kName]) return;  // a DBA took the key away
    const model::MetricLimits* limits = limits_in(row);
    if (limits == nullptr && postgres::is_of_this_transaction(row)) return;
    memory.has_limits = memory.has_limits || limits != nullptr;
    add(postgres::view_of(row->tts_values[kName]), limits);
}

// P.
void read_table(Oid table) {
    Relation relation = table_open(table, AccessShareLock);
    postgres::refuse_changed_columns(relation, runtime::kMetricTable);
    table_close(relation, NoLock);
    Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
    postgres::for_each_row(table, snapshot, take_row);
    UnregisterSnapshot(snapshot);
}

}  // namespace

void reload_metric_rules() {
    if (seed == 0 && !pg_strong_random(&seed, sizeof seed)) elog(ERROR, "could not generate random values");
    if (memory.context == nullptr)
        memory.context = AllocSetContextCreate(TopMemoryContext, "telemetry_cqrs metric rules", ALLOCSET_DEFAULT_SIZES);
    memory = {memory.context, nullptr, 0, 0, 0,
              false,          0,       0};  // an error on the way leaves nothing that could be taken for the rules
    MemoryContextReset(memory.context);
    // A change that is announced from here on may be missing below. Then the number differs, and the next refresh reads again.
    const std::uint64_t changes = changes_of(RuleTable::kMetric);
    memory.slot_count = kFewestSlots;
    memory.slots = new_slots(kFewestSlots);
    memory.changes = changes - 1;
    if (OidIsValid(oid_of(RuleTable::kMetric))) read_table(oid_of(RuleTable::kMetric));
    memory.changes = changes;
    memory.read_at = runtime::steady_time();
}

void refresh_metric_rules() {
    refresh_rule_tables();
    if (memory.slots != nullptr && memory.changes == changes_of(RuleTable::kMetric)) return;
    postgres::guarded(reload_metric_rules);
}

bool has_metric_limits() noexcept {
    return memory.has_limits;
}

const model::MetricLimits* limits_of(std::string_view metric) noexcept {
    const KnownMetric* known = find(metric);
    return known == nullptr ? nullptr : known->limits;
}

bool is_known_metric(std::string_view metric) noexcept {
    return find(metric) != nullptr;
}

void remember_metric(std::string_view metric) {
    if (!is_known_metric(metric)) add(metric, nullptr);
}

std::uint64_t counted_metrics() noexcept {
    return memory.row_count;
}

runtime::SteadyTime metrics_counted_at() noexcept {
    return memory.read_at;
}

}  // namespace device
