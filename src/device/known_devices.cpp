// Remembers devices in a table of small buckets. A device may stand anywhere in its bucket. In a full bucket, new devices
// replace the others in turn.
#include "device/known_devices.hpp"

#include "postgres/entry_point.hpp"
#include "postgres/sql_function.hpp"
#include "postgres/text.hpp"
#include "runtime/installed.hpp"

#include "postgres/pg.hpp"

namespace device {
namespace {

constexpr uint32 kBuckets = 8192;
constexpr uint32 kWays = 4;

struct KnownDevice {
    uint64 hash;
    text* device_id;  // null: empty
    text* region;
};

// The state of the session. Plain data.
MemoryContext memory = nullptr;
KnownDevice* devices = nullptr;  // kBuckets runs of kWays
unsigned generation = 0;
uint32 next_victim = 0;

text* copied_region(std::optional<std::string_view> region) {
    return region ? postgres::new_text(*region) : nullptr;
}

}  // namespace

void refresh_known_devices() {
    AcceptInvalidationMessages();
    if (memory == nullptr)
        memory = AllocSetContextCreate(TopMemoryContext, "telemetry_cqrs known devices", ALLOCSET_DEFAULT_SIZES);
    if (devices != nullptr && generation == runtime::installed_generation()) return;
    devices = nullptr;
    MemoryContextReset(memory);
    devices = static_cast<KnownDevice*>(MemoryContextAllocZero(memory, sizeof(KnownDevice) * kBuckets * kWays));
    generation = runtime::installed_generation();
}

bool recall(std::string_view device_id, std::optional<std::string_view>& region) {
    const uint64 hash = postgres::hash_of(device_id);
    const KnownDevice* bucket = devices + hash % kBuckets * kWays;
    for (uint32 way = 0; way < kWays; ++way) {
        const KnownDevice& known = bucket[way];
        if (known.device_id == nullptr || known.hash != hash || postgres::view_of(known.device_id) != device_id) continue;
        region = known.region == nullptr ? std::nullopt : postgres::optional_view_of(postgres::copied_text(known.region));
        return true;
    }
    return false;
}

void remember(std::string_view device_id, std::optional<std::string_view> region) {
    const uint64 hash = postgres::hash_of(device_id);
    KnownDevice* bucket = devices + hash % kBuckets * kWays;
    uint32 way = 0;
    while (way < kWays && bucket[way].device_id != nullptr) ++way;
    KnownDevice& known = bucket[way < kWays ? way : next_victim++ % kWays];
    if (known.device_id != nullptr) {
        pfree(known.device_id);
        if (known.region != nullptr) pfree(known.region);
    }
    known.device_id = nullptr;
    const MemoryContext before = MemoryContextSwitchTo(memory);
    text* id_copy = postgres::new_text(device_id);
    known.region = copied_region(region);
    known.hash = hash;
    known.device_id = id_copy;
    MemoryContextSwitchTo(before);
}

}  // namespace device

// The trigger on telemetry.device calls this when an existing row has changed. Every session then forgets what it remembers.
TELEMETRY_FUNCTION(telemetry_announce_registry_change) {
    if (!CALLED_AS_TRIGGER(fcinfo))
        throw postgres::Error(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED,
                              "announce_registry_change() was not called by the trigger manager");
    const auto* trigger = reinterpret_cast<const TriggerData*>(fcinfo->context);
    postgres::guarded([trigger] { CacheInvalidateRelcache(trigger->tg_relation); });
    return PointerGetDatum(nullptr);
}
