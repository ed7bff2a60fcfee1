// A table of small buckets: a device may stand anywhere in its bucket; in a full one the newcomer replaces another in turn.
// Everything is P but the trigger at the end.
#include "device/known_devices.hpp"

#include "postgres/entry_point.hpp"
#include "runtime/installed.hpp"

#include "postgres/pg.hpp"

namespace device {
namespace {

constexpr uint32 kBuckets = 8192;
constexpr uint32 kWays = 4;

struct Place {
    uint64 hash;
    text* device_id;  // null: empty
    text* region;
};

// Session state, plain data.
MemoryContext memory = nullptr;
Place* places = nullptr;  // kBuckets runs of kWays
unsigned generation = 0;
uint32 next_victim = 0;

uint64 hash_of(text* device_id) {
    return hash_bytes_extended(reinterpret_cast<const unsigned char*>(VARDATA_ANY(device_id)),
                               static_cast<int>(VARSIZE_ANY_EXHDR(device_id)), 0);
}

bool equal(text* a, text* b) {
    return VARSIZE_ANY_EXHDR(a) == VARSIZE_ANY_EXHDR(b) && memcmp(VARDATA_ANY(a), VARDATA_ANY(b), VARSIZE_ANY_EXHDR(a)) == 0;
}

text* copy(text* value) {
    if (value == nullptr) return nullptr;
    auto* result = static_cast<text*>(palloc(VARSIZE_ANY(value)));
    memcpy(result, value, VARSIZE_ANY(value));
    return result;
}

}  // namespace

void refresh_known_devices() {
    AcceptInvalidationMessages();
    if (memory == nullptr)
        memory = AllocSetContextCreate(TopMemoryContext, "telemetry_cqrs known devices", ALLOCSET_DEFAULT_SIZES);
    if (places != nullptr && generation == runtime::installed_generation()) return;
    places = nullptr;
    MemoryContextReset(memory);
    places = static_cast<Place*>(MemoryContextAllocZero(memory, sizeof(Place) * kBuckets * kWays));
    generation = runtime::installed_generation();
}

bool recall(text* device_id, text** region) {
    const uint64 hash = hash_of(device_id);
    const Place* bucket = places + hash % kBuckets * kWays;
    for (uint32 way = 0; way < kWays; ++way) {
        const Place& place = bucket[way];
        if (place.device_id == nullptr || place.hash != hash || !equal(place.device_id, device_id)) continue;
        *region = copy(place.region);
        return true;
    }
    return false;
}

void remember(text* device_id, text* region) {
    const uint64 hash = hash_of(device_id);
    Place* bucket = places + hash % kBuckets * kWays;
    uint32 way = 0;
    while (way < kWays && bucket[way].device_id != nullptr) ++way;
    Place& place = bucket[way < kWays ? way : next_victim++ % kWays];
    if (place.device_id != nullptr) {
        pfree(place.device_id);
        if (place.region != nullptr) pfree(place.region);
    }
    place.device_id = nullptr;
    const MemoryContext before = MemoryContextSwitchTo(memory);
    text* id_copy = copy(device_id);
    place.region = copy(region);
    place.hash = hash;
    place.device_id = id_copy;
    MemoryContextSwitchTo(before);
}

}  // namespace device

// Trigger on telemetry.device: existing rows changed, so every session forgets what it remembers.
TELEMETRY_FUNCTION(telemetry_announce_registry_change) {
    if (!CALLED_AS_TRIGGER(fcinfo))
        throw postgres::Error(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED,
                              "announce_registry_change() was not called by the trigger manager");
    const auto* trigger = reinterpret_cast<const TriggerData*>(fcinfo->context);
    postgres::guarded([trigger] { CacheInvalidateRelcache(trigger->tg_relation); });
    return PointerGetDatum(nullptr);
}
