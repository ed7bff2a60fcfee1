// Taking the locks. This file is written wholly in P. What a look into the catalogue leaves behind, a snapshot, would hold back
// vacuum for as long as a lock is waited for: it is thrown away before.
#include "projection/locks.hpp"

#include "error_codes.hpp"
#include "runtime/gate.hpp"
#include "runtime/library_version.hpp"
#include "runtime/own_lock.hpp"

#include "postgres/pg.hpp"

namespace projection {
namespace {

constexpr const char* kRead[] = {"installation", "epoch", "projection"};
constexpr const char* kWritten[] = {"checkpoint",          "batch",        "projection_failure", "device_state",
                                    "device_metric_state", "region_state", "region_metric_state"};

// False if the extension is gone.
bool require_version(Oid extension) {
    Relation relation = table_open(ExtensionRelationId, AccessShareLock);
    ScanKeyData key;
    ScanKeyInit(&key, Anum_pg_extension_oid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(extension));
    SysScanDesc scan = systable_beginscan(relation, ExtensionOidIndexId, true, nullptr, 1, &key);
    HeapTuple row = systable_getnext(scan);
    const bool is_there = HeapTupleIsValid(row);
    if (is_there) {
        bool isnull;
        const char* version =
            TextDatumGetCString(heap_getattr(row, Anum_pg_extension_extversion, RelationGetDescr(relation), &isnull));
        if (strcmp(version, runtime::kLibraryVersion) != 0)
            ereport(ERROR,
                    (errcode(error_codes::kNotInstalled),
                     errmsg("extension version %s does not belong to library version %s", version, runtime::kLibraryVersion),
                     errhint("%s", runtime::kOtherVersionHint)));
    }
    systable_endscan(scan);
    table_close(relation, AccessShareLock);
    return is_there;
}

}  // namespace

bool hold_extension() {
    for (;;) {
        const Oid extension = get_extension_oid("telemetry_cqrs", true);
        if (!OidIsValid(extension)) return false;
        const Oid gate = runtime::find_gate(extension);
        if (!OidIsValid(gate)) return require_version(extension);
        runtime::lock_gate(gate);
        if (runtime::find_gate(extension) == gate) return require_version(extension);
        UnlockRelationOid(gate, AccessShareLock);
    }
}

void take_apply_lock() {
    const LOCKTAG tag = runtime::tag_of(runtime::OwnLock::apply);
    InvalidateCatalogSnapshot();
    LockAcquire(&tag, ExclusiveLock, false, false);
}

void lock_tables() {
    const Oid schema = get_namespace_oid("telemetry", true);
    // A table that is missing is the failure of whoever needs it, and told then.
    const auto lock = [schema](const char* name, LOCKMODE mode) {
        const Oid table = get_relname_relid(name, schema);
        InvalidateCatalogSnapshot();
        if (OidIsValid(table)) LockRelationOid(table, mode);
        return table;
    };
    for (const char* name : kRead) lock(name, AccessShareLock);
    const Oid log = lock("event", AccessShareLock);
    list_free(find_inheritance_children(log, AccessShareLock));
    for (const char* name : kWritten) lock(name, RowExclusiveLock);
}

}  // namespace projection
