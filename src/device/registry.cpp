// Looking devices up and registering them natively. Written wholly in P but for the two functions at the end.
#include "device/registry.hpp"

#include "device/known_devices.hpp"
#include "postgres/error.hpp"
#include "postgres/keyed_table.hpp"
#include "runtime/installed.hpp"

#include "postgres/pg.hpp"

namespace device {
namespace {

// Columns of telemetry.device, numbered from 1 in the order of the install script.
enum Column { kDeviceId = 1, kRegion, kStatus, kExpectedInterval, kAttributes, kRegisteredAt };

struct Registry {
    Relation table;
    Relation by_id;
    SnapshotData dirty;  // sees what this command registered, and rivals in flight
    IndexScanDesc scan;
    TupleTableSlot* row;
    bool is_open;
};

void open_registry(Registry& registry, const runtime::Installed& relations) {
    registry.is_open = true;
    registry.table = table_open(relations.device, RowExclusiveLock);
    registry.by_id = index_open(relations.device_key_index, RowExclusiveLock);
    InitDirtySnapshot(registry.dirty);
    registry.scan = index_beginscan(registry.table, registry.by_id, &registry.dirty, 1, 0);
    registry.row = table_slot_create(registry.table, nullptr);
}

void close_registry(Registry& registry) {
    if (!registry.is_open) return;
    index_endscan(registry.scan);
    ExecDropSingleTupleTableSlot(registry.row);
    index_close(registry.by_id, NoLock);
    table_close(registry.table, NoLock);
}

void take_row(TupleTableSlot* row, Entry& entry) {
    bool isnull;
    text* status = DatumGetTextPP(slot_getattr(row, kStatus, &isnull));
    entry.standing = VARSIZE_ANY_EXHDR(status) == 7 && memcmp(VARDATA_ANY(status), "retired", 7) == 0 ? Standing::kRetired
                                                                                                      : Standing::kActive;
    const Datum region = slot_getattr(row, kRegion, &isnull);
    entry.region = isnull ? nullptr : DatumGetTextPCopy(region);
}

ScanKeyData key_of(const Entry& entry) {
    ScanKeyData key;
    ScanKeyInit(&key, kDeviceId, BTEqualStrategyNumber, F_TEXTEQ, PointerGetDatum(entry.device_id));
    key.sk_collation = C_COLLATION_OID;
    return key;
}

// Looks one device up: a committed row or one of this transaction, else one in flight, else unknown.
void look_up(Registry& registry, Entry& entry) {
    ScanKeyData key = key_of(entry);
    index_rescan(registry.scan, &key, 1, nullptr, 0);
    entry.standing = Standing::kUnknown;
    while (index_getnext_slot(registry.scan, ForwardScanDirection, registry.row)) {
        const bool is_in_flight = TransactionIdIsValid(registry.dirty.xmin);
        if (is_in_flight && entry.standing != Standing::kUnknown) continue;
        take_row(registry.row, entry);
        if (is_in_flight) {
            entry.standing = Standing::kRegistering;
            continue;  // an older, committed row of the same device would count more
        }
        if (entry.standing == Standing::kActive && !postgres::is_of_this_transaction(registry.row))
            remember(entry.device_id, entry.region);
        break;
    }
    ExecClearTuple(registry.row);
    index_rescan(registry.scan, nullptr, 0, nullptr, 0);
}

// A dirty look can miss a row that is being moved by an update while it looks. This one sees one version of it for certain.
void look_up_committed(Registry& registry, Entry& entry) {
    Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
    IndexScanDesc scan = index_beginscan(registry.table, registry.by_id, snapshot, 1, 0);
    ScanKeyData key = key_of(entry);
    index_rescan(scan, &key, 1, nullptr, 0);
    if (index_getnext_slot(scan, ForwardScanDirection, registry.row)) take_row(registry.row, entry);
    ExecClearTuple(registry.row);
    index_endscan(scan);
    UnregisterSnapshot(snapshot);
}

// Writes the row of a new device unless a rival did so since we looked: false.
bool insert_row(Registry& registry, EState* executor, ResultRelInfo* result, const Entry& entry) {
    TupleTableSlot* row = registry.row;
    ExecClearTuple(row);
    memset(row->tts_isnull, 0, sizeof(bool) * row->tts_tupleDescriptor->natts);
    for (int column = kRegisteredAt; column < row->tts_tupleDescriptor->natts; ++column) row->tts_isnull[column] = true;
    Datum* value = row->tts_values;
    value[kDeviceId - 1] = PointerGetDatum(entry.device_id);
    value[kRegion - 1] = PointerGetDatum(entry.proposed_region);
    row->tts_isnull[kRegion - 1] = entry.proposed_region == nullptr;
    value[kStatus - 1] = CStringGetTextDatum("active");
    row->tts_isnull[kExpectedInterval - 1] = row->tts_isnull[kAttributes - 1] = true;
    value[kRegisteredAt - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
    ExecStoreVirtualTuple(row);
    const uint32 token = SpeculativeInsertionLockAcquire(GetCurrentTransactionId());
    table_tuple_insert_speculative(registry.table, row, GetCurrentCommandId(true), 0, nullptr, token);
    bool met_rival = false;
    List* keys = list_make1_oid(RelationGetRelid(registry.by_id));
    ExecInsertIndexTuples(result, row, executor, false, true, &met_rival, keys);
    table_tuple_complete_speculative(registry.table, row, token, !met_rival);
    SpeculativeInsertionLockRelease(GetCurrentTransactionId());
    ExecClearTuple(row);
    return !met_rival;
}

void register_unknown(Registry& registry, Entry* entries, std::uint32_t count) {
    EState* executor = CreateExecutorState();
    ResultRelInfo* result = makeNode(ResultRelInfo);
    InitResultRelInfo(result, registry.table, 0, nullptr, 0);
    ExecOpenIndices(result, true);
    for (std::uint32_t i = 0; i < count; ++i) {
        CHECK_FOR_INTERRUPTS();
        Entry& entry = entries[i];
        while (entry.standing == Standing::kUnknown) {
            if (insert_row(registry, executor, result, entry)) {
                entry.standing = Standing::kActive;
                entry.region = entry.proposed_region;
            } else {
                look_up(registry, entry);
            }
        }
    }
    ExecCloseIndices(result);
    FreeExecutorState(executor);
}

void resolve_all(Entry* entries, std::uint32_t count, bool auto_register, const runtime::Installed& relations) {
    refresh_known_devices();
    std::uint32_t unknown = 0;
    Registry registry;
    registry.is_open = false;
    for (std::uint32_t i = 0; i < count; ++i) {
        CHECK_FOR_INTERRUPTS();
        if (recall(entries[i].device_id, &entries[i].region)) {
            entries[i].standing = Standing::kActive;
            continue;
        }
        if (!registry.is_open) open_registry(registry, relations);
        look_up(registry, entries[i]);
        if (entries[i].standing == Standing::kUnknown && !auto_register) look_up_committed(registry, entries[i]);
        unknown += entries[i].standing == Standing::kUnknown;
    }
    if (unknown > 0 && auto_register) register_unknown(registry, entries, count);
    close_registry(registry);
}

}  // namespace

void resolve(Entry* entries, std::uint32_t count, bool auto_register) {
    const runtime::Installed relations = runtime::installed();
    postgres::guarded([=, &relations] { resolve_all(entries, count, auto_register, relations); });
}

bool register_one(text* device_id, text* region, Interval* expected_interval, Jsonb* attributes) {
    return postgres::guarded([=] {
        Oid types[] = {TEXTOID, TEXTOID, INTERVALOID, JSONBOID};
        Datum values[] = {PointerGetDatum(device_id), PointerGetDatum(region), PointerGetDatum(expected_interval),
                          PointerGetDatum(attributes)};
        const char nulls[] = {' ', region ? ' ' : 'n', expected_interval ? ' ' : 'n', attributes ? ' ' : 'n', '\0'};
        SPI_connect();
        SPI_execute_with_args(
            "INSERT INTO telemetry.device (device_id, region, expected_interval, attributes) VALUES ($1, $2, $3, $4) "
            "ON CONFLICT (device_id) DO NOTHING",
            4, types, values, nulls, false, 0);
        const bool is_new = SPI_processed == 1;
        SPI_finish();
        return is_new;
    });
}

}  // namespace device
