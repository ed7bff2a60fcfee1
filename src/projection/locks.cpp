// Taking the locks. This file is written wholly in P. What a look into the catalogue leaves behind, a snapshot, would hold back
// vacuum for as long as a lock is waited for: it is thrown away before.
#include "projection/locks.hpp"

#include "error_codes.hpp"
#include "postgres/catalog.hpp"
#include "runtime/gate.hpp"
#include "runtime/library_version.hpp"
#include "runtime/own_lock.hpp"

#include "postgres/pg.hpp"

namespace projection {
namespace {

constexpr const char* kReadTables[] = {"installation", "epoch", "projection"};
constexpr const char* kWrittenTables[] = {"checkpoint",          "batch",        "projection_failure", "device_state",
                                          "device_metric_state", "region_state", "region_metric_state"};

// False if the extension is gone.
bool require_version(Oid extension) {
    postgres::FoundExtension found;
    if (!postgres::find_extension(found) || found.oid != extension) return false;
    if (strcmp(found.version, runtime::kLibraryVersion) != 0)
        ereport(ERROR,
                (errcode(error_codes::kNotInstalled),
                 errmsg("extension version %s does not belong to library version %s", found.version, runtime::kLibraryVersion),
                 errhint("%s", runtime::kOtherVersionHint)));
    return true;
}

}  // namespace

bool hold_extension() {
    for (;;) {
        postgres::FoundExtension extension;
        if (!postgres::find_extension(extension)) return false;
        const Oid gate = runtime::find_gate(extension.oid);
        if (!OidIsValid(gate)) return require_version(extension.oid);
        runtime::lock_gate(gate);
        if (runtime::find_gate(extension.oid) == gate) return require_version(extension.oid);
        UnlockRelationOid(gate, AccessShareLock);
    }
}

void take_apply_lock() {
    const LOCKTAG tag = runtime::tag_of(runtime::OwnLock::kApply);
    InvalidateCatalogSnapshot();
    LockAcquire(&tag, ExclusiveLock, false, false);
}

void lock_tables() {
    const Oid schema = postgres::find_schema();
    // A table that is missing is the failure of whoever needs it, and told then.
    const auto lock = [schema](const char* name, LOCKMODE mode) {
        const Oid table = postgres::find_relation(schema, name);
        InvalidateCatalogSnapshot();
        if (OidIsValid(table)) LockRelationOid(table, mode);
        return table;
    };
    for (const char* name : kReadTables) lock(name, AccessShareLock);
    const Oid log = lock("event", AccessShareLock);
    list_free(find_inheritance_children(log, AccessShareLock));
    for (const char* name : kWrittenTables) lock(name, RowExclusiveLock);
}

}  // namespace projection
