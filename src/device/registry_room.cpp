// Counts the registry now and then.
#include "device/registry_room.hpp"

#include <algorithm>

#include "postgres/key_lookup.hpp"
#include "runtime/settings.hpp"
#include "runtime/steady_time.hpp"

#include "postgres/pg.hpp"

namespace device {
namespace {

constexpr runtime::SteadyTime kCountHolds = 1'000'000;  // a second
constexpr runtime::SteadyTime kShare = 100;

// The state of the session. Plain data.
struct Count {
    Oid registry;
    std::uint64_t devices;
    runtime::SteadyTime counted_at, cost;
};
Count last{};

// P.
void count_devices(Oid registry) {
    const runtime::SteadyTime begun_at = runtime::steady_time();
    SnapshotData dirty;  // sees what other sessions are registering
    InitDirtySnapshot(dirty);
    std::uint64_t devices = 0;
    Relation table = table_open(registry, AccessShareLock);
    TableScanDesc scan = table_beginscan(table, &dirty, 0, nullptr);
    TupleTableSlot* slot = table_slot_create(table, nullptr);
    while (table_scan_getnextslot(scan, ForwardScanDirection, slot)) ++devices;
    ExecDropSingleTupleTableSlot(slot);
    table_endscan(scan);
    table_close(table, NoLock);
    last = {registry, devices, begun_at, runtime::steady_time() - begun_at};
}

}  // namespace

std::uint64_t room_for_devices(Oid registry, std::uint64_t wanted) {
    const auto most = static_cast<std::uint64_t>(runtime::settings().max_devices);
    if (most == 0) return wanted;
    const std::uint64_t at_most_there = std::uint64_t{postgres::page_count_of(registry)} * MaxHeapTuplesPerPage;
    if (at_most_there + wanted <= most) return wanted;
    const runtime::SteadyTime holds = std::max(kCountHolds, kShare * last.cost);
    if (last.registry != registry || runtime::steady_time() - last.counted_at > holds) count_devices(registry);
    return last.devices < most ? std::min(wanted, most - last.devices) : 0;
}

void take_room_for_devices(std::uint64_t count) noexcept {
    last.devices += count;
}

}  // namespace device
