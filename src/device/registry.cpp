// Looks devices up natively and registers them by SQL, so that all defaults, constraints and triggers that a user put on the
// registry count.
//
// INSERT .. ON CONFLICT DO NOTHING waits for the transaction of a rival that has inserted the same device. Two sessions that
// wait like this could wait for each other, so this code does not:
// 1. It looks before it inserts, and does not insert a device that it sees a rival insert.
// 2. A rival may still come between look and insert. The insert waits a millisecond for it, in a subtransaction that is then
//    rolled back.
// 3. The next look sees that rival.
// 4. The last insert has patience, for the sake of triggers (kAttempts).
#include "device/registry.hpp"

#include <algorithm>
#include <string_view>
#include <vector>

#include "device/known_devices.hpp"
#include "device/registry_room.hpp"
#include "postgres/array.hpp"
#include "postgres/error.hpp"
#include "postgres/key_lookup.hpp"
#include "postgres/server_versions.hpp"
#include "postgres/spi.hpp"
#include "postgres/subtransaction.hpp"
#include "postgres/text.hpp"
#include "runtime/installed.hpp"
#include "runtime/own_tables.hpp"

#include "postgres/pg.hpp"

namespace device {
namespace {

// Columns of telemetry.device, numbered from 1 in the order of the install script.
enum DeviceColumn { kDeviceId = 1, kRegion, kStatus, kExpectedInterval, kAttributes, kRegisteredAt };

struct RegistryScan {
    Relation table;
    Relation id_index;
    SnapshotData dirty;  // sees what this command registered, and rivals in flight
    IndexScanDesc scan;
    TupleTableSlot* slot;
    bool is_open;
};

// P. Opens and locks the registry for look-ups.
void open_registry(RegistryScan& registry, const runtime::Installed& relations) {
    registry.is_open = true;
    registry.table = table_open(relations.device, RowExclusiveLock);
    postgres::refuse_changed_columns(registry.table, runtime::kDeviceTable);
    registry.id_index = postgres::open_key_index(registry.table, RowExclusiveLock, 1);
    InitDirtySnapshot(registry.dirty);
    registry.scan = postgres::begin_index_scan(registry.table, registry.id_index, &registry.dirty, 1);
    registry.slot = table_slot_create(registry.table, nullptr);
}

// P.
void close_registry(RegistryScan& registry) {
    if (!registry.is_open) return;
    index_endscan(registry.scan);
    ExecDropSingleTupleTableSlot(registry.slot);
    index_close(registry.id_index, NoLock);
    table_close(registry.table, NoLock);
}

// P. A device without a status may send.
Standing standing_of(const text* status) {
    if (status == nullptr) return Standing::kActive;
    return postgres::view_of(status) == "retired" ? Standing::kRetired : Standing::kActive;
}

// P. A copy in the current memory context.
std::optional<std::string_view> copied_view(Datum region, bool is_null) {
    if (is_null) return std::nullopt;
    return postgres::view_of(postgres::copied_text(region));
}

// P.
void take_row(TupleTableSlot* row, Entry& entry) {
    bool is_null;
    const Datum status = slot_getattr(row, kStatus, &is_null);
    entry.standing = standing_of(is_null ? nullptr : postgres::text_of(status));
    const Datum region = slot_getattr(row, kRegion, &is_null);
    entry.region = copied_view(region, is_null);
}

// P.
ScanKeyData key_of(const RegistryScan& registry, const Entry& entry) {
    ScanKeyData key;
    ScanKeyInit(&key, kDeviceId, BTEqualStrategyNumber, F_TEXTEQ, postgres::text_datum(entry.device_id));
    key.sk_collation = registry.id_index->rd_indcollation[0];
    return key;
}

// P. Looks one device up. It takes a committed row or one of this transaction, else a row in flight. Without any row the device
// is unknown. True: the row is of this transaction.
bool look_up(RegistryScan& registry, Entry& entry, bool may_remember) {
    ScanKeyData key = key_of(registry, entry);
    index_rescan(registry.scan, &key, 1, nullptr, 0);
    entry.standing = Standing::kUnknown;
    bool is_mine = false;
    while (index_getnext_slot(registry.scan, ForwardScanDirection, registry.slot)) {
        const bool is_in_flight = TransactionIdIsValid(registry.dirty.xmin);
        if (is_in_flight && entry.standing != Standing::kUnknown) continue;
        take_row(registry.slot, entry);
        if (is_in_flight) {
            entry.standing = Standing::kRegistering;
            continue;  // an older, committed row of the same device would count more
        }
        is_mine = postgres::is_of_this_transaction(registry.slot);
        if (entry.standing == Standing::kActive && !is_mine && may_remember) remember(entry.device_id, entry.region);
        break;
    }
    ExecClearTuple(registry.slot);
    index_rescan(registry.scan, &key, 1, nullptr, 0);
    return is_mine;
}

// P. Looks for the row that a snapshot shows. False: there is none.
bool look_up_in(Snapshot snapshot, RegistryScan& registry, Entry& entry) {
    IndexScanDesc scan = postgres::begin_index_scan(registry.table, registry.id_index, snapshot, 1);
    ScanKeyData key = key_of(registry, entry);
    index_rescan(scan, &key, 1, nullptr, 0);
    const bool is_found = index_getnext_slot(scan, ForwardScanDirection, registry.slot);
    if (is_found) take_row(registry.slot, entry);
    ExecClearTuple(registry.slot);
    index_endscan(scan);
    return is_found;
}

// P. A dirty look can miss a row that an update moves while it looks. This look is certain to see one version of the row.
void look_up_committed(RegistryScan& registry, Entry& entry) {
    Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
    look_up_in(snapshot, registry, entry);
    UnregisterSnapshot(snapshot);
}

// P. In a SERIALIZABLE transaction the server must know what was read, so the look under the transaction's snapshot leaves
// predicate locks. The answer is the snapshot's, except for rows of this transaction, which the snapshot may not show yet.
void look_up_serializable(RegistryScan& registry, Entry& entry) {
    Entry shown = entry;
    shown.standing = Standing::kUnknown;
    const bool is_shown = look_up_in(GetTransactionSnapshot(), registry, shown);
    if (look_up(registry, entry, false)) return;
    if (!is_shown && entry.standing != Standing::kUnknown)
        ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
                        errmsg("could not serialize access due to a concurrent registration of the same device"),
                        errdetail("The device was registered after this transaction took its snapshot."),
                        errhint("Retry the transaction.")));
    entry = shown;
}

// P. Looks all devices up. Returns how many stay unknown.
std::uint32_t look_up_all(Entry* entries, std::uint32_t count, bool auto_register, const runtime::Installed& relations) {
    refresh_known_devices();
    const bool is_serializable = IsolationIsSerializable();
    std::uint32_t unknown = 0;
    RegistryScan registry;
    registry.is_open = false;
    for (std::uint32_t i = 0; i < count; ++i) {
        CHECK_FOR_INTERRUPTS();
        if (!is_serializable && recall(entries[i].device_id, entries[i].region)) {
            entries[i].standing = Standing::kActive;
            continue;
        }
        if (!registry.is_open) open_registry(registry, relations);
        if (is_serializable) {
            look_up_serializable(registry, entries[i]);
        } else {
            look_up(registry, entries[i], true);
            if (entries[i].standing == Standing::kUnknown && !auto_register) look_up_committed(registry, entries[i]);
        }
        unknown += entries[i].standing == Standing::kUnknown;
    }
    close_registry(registry);
    return unknown;
}

constexpr const char* kWaitForRival = "1ms";

// The server gives its default to a column that the statement does not name.
postgres::Statement register_with_region{
    postgres::SqlCommand::kInsertReturning,
    "INSERT INTO telemetry.device AS d (device_id, region) "
    "SELECT n.device_id, n.region FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) AS n (device_id, region) "
    "ON CONFLICT (device_id) DO NOTHING RETURNING d.device_id, d.region, d.status",
    2,
    {TEXTARRAYOID, TEXTARRAYOID},
    nullptr};
postgres::Statement register_without_region{
    postgres::SqlCommand::kInsertReturning,
    "INSERT INTO telemetry.device AS d (device_id) SELECT n.device_id FROM pg_catalog.unnest($1) AS n (device_id) "
    "ON CONFLICT (device_id) DO NOTHING RETURNING d.device_id, d.region, d.status",
    1,
    {TEXTARRAYOID},
    nullptr};

// P. Fills in what the statement returned. A trigger may have changed the row, even its id.
void take_registered(const postgres::StatementResult& registered, Entry** entries, std::uint32_t count, MemoryContext caller) {
    for (std::uint64_t i = 0; i < registered.row_count; ++i) {
        bool is_null;
        const std::string_view device_id = postgres::view_of(postgres::value_of(registered, i, 1, &is_null));
        Entry** entry = std::lower_bound(entries, entries + count, device_id,
                                         [](const Entry* each, std::string_view id) { return each->device_id < id; });
        if (entry == entries + count || (*entry)->device_id != device_id) continue;
        const MemoryContext before = MemoryContextSwitchTo(caller);
        const Datum region = postgres::value_of(registered, i, 2, &is_null);
        (*entry)->region = copied_view(region, is_null);
        const Datum status = postgres::value_of(registered, i, 3, &is_null);
        (*entry)->standing = standing_of(is_null ? nullptr : postgres::text_of(status));
        MemoryContextSwitchTo(before);
    }
}

// P. Inserts entries that are ordered by id. Those with a region and those without go in separate statements.
void insert_rows(Entry** entries, std::uint32_t count, bool has_patience) {
    const MemoryContext caller = CurrentMemoryContext;
    postgres::refuse_statement_obstacle(runtime::kDeviceTable);
    const postgres::StatementScope statements = postgres::open_statements();
    if (!has_patience) postgres::set_for_statements("lock_timeout", kWaitForRival);
    auto* ids = static_cast<Datum*>(palloc_extended(sizeof(Datum) * count, MCXT_ALLOC_HUGE));
    auto* regions = static_cast<Datum*>(palloc_extended(sizeof(Datum) * count, MCXT_ALLOC_HUGE));
    for (const bool with_region : {true, false}) {
        int chosen = 0;
        for (std::uint32_t i = 0; i < count; ++i) {
            if (entries[i]->proposed_region.has_value() != with_region) continue;
            ids[chosen] = postgres::text_datum(entries[i]->device_id);
            if (with_region) regions[chosen] = postgres::text_datum(*entries[i]->proposed_region);
            ++chosen;
        }
        if (chosen == 0) continue;
        Datum values[] = {postgres::array_datum(ids, chosen, TEXTOID),
                          with_region ? postgres::array_datum(regions, chosen, TEXTOID) : Datum{}};
        const postgres::StatementResult registered =
            postgres::execute_kept(with_region ? register_with_region : register_without_region, values);
        take_registered(registered, entries, count, caller);
    }
    postgres::close_statements(statements);
}

// P. Looks the unknown ones up again. Returns how many stay unknown.
std::uint32_t look_up_unknown(Entry** entries, std::uint32_t count, const runtime::Installed& relations) {
    std::uint32_t unknown = 0;
    RegistryScan registry;
    open_registry(registry, relations);
    for (std::uint32_t i = 0; i < count; ++i) {
        if (entries[i]->standing != Standing::kUnknown) continue;
        if (IsolationIsSerializable())
            look_up_serializable(registry, *entries[i]);
        else
            look_up(registry, *entries[i], true);
        unknown += entries[i]->standing == Standing::kUnknown;
    }
    close_registry(registry);
    return unknown;
}

// False: a lock of another session was in the way.
bool try_insert(std::vector<Entry*>& unknown, bool has_patience) {
    try {
        postgres::in_subtransaction([&] {
            postgres::guarded([entries = unknown.data(), count = static_cast<std::uint32_t>(unknown.size()), has_patience] {
                insert_rows(entries, count, has_patience);
            });
        });
        return true;
    } catch (const postgres::PgError& error) {
        if (error.sqlstate() != ERRCODE_LOCK_NOT_AVAILABLE || has_patience) throw;
    }
    for (Entry* each : unknown) each->standing = Standing::kUnknown;
    return false;
}

// The last attempt has patience, because a trigger that a user put on the registry may have to wait. If a device is unknown
// even then, a trigger kept it out.
constexpr int kAttempts = 4;

// Marks the unknown devices for which the registry has no room. Returns how many remain unknown.
std::uint32_t admit_unknown(Entry* entries, std::uint32_t count, std::uint32_t unknown, const runtime::Installed& relations) {
    const std::uint64_t room = postgres::guarded([&relations, unknown] { return room_for_devices(relations.device, unknown); });
    take_room_for_devices(room);
    std::uint64_t left = room;
    for (Entry* each = entries; each < entries + count && room < unknown; ++each) {
        if (each->standing != Standing::kUnknown) continue;
        if (left == 0)
            each->standing = Standing::kNoRoom;
        else
            --left;
    }
    return static_cast<std::uint32_t>(room);
}

void register_unknown(Entry* entries, std::uint32_t count, const runtime::Installed& relations) {
    std::vector<Entry*> unknown;
    for (int attempt = 1; attempt <= kAttempts; ++attempt) {
        unknown.clear();
        for (Entry* each = entries; each < entries + count; ++each)
            if (each->standing == Standing::kUnknown) unknown.push_back(each);
        std::ranges::sort(unknown, {}, &Entry::device_id);
        try_insert(unknown, attempt == kAttempts);
        const std::uint32_t left =
            postgres::guarded([still_unknown = unknown.data(), still_count = static_cast<std::uint32_t>(unknown.size()),
                               &relations] { return look_up_unknown(still_unknown, still_count, relations); });
        if (left == 0) return;
    }
}

}  // namespace

void resolve(Entry* entries, std::uint32_t count, bool auto_register) {
    const runtime::Installed relations = runtime::installed();
    const std::uint32_t unknown =
        postgres::guarded([=, &relations] { return look_up_all(entries, count, auto_register, relations); });
    if (unknown > 0 && auto_register && admit_unknown(entries, count, unknown, relations) > 0)
        register_unknown(entries, count, relations);
}

void mark_without_room(std::span<Entry> entries) {
    const auto is_unknown = [](const Entry& each) { return each.standing == Standing::kUnknown; };
    if (std::ranges::none_of(entries, is_unknown)) return;
    const Oid registry = runtime::installed().device;
    if (postgres::guarded([registry] { return room_for_devices(registry, 1); }) > 0) return;
    for (Entry& each : entries)
        if (is_unknown(each)) each.standing = Standing::kNoRoom;
}

}  // namespace device
