// Taking the locks. Written wholly in P.
#include "projection/locks.hpp"

#include "postgres/pg.hpp"

namespace projection {
namespace {

constexpr uint16 kLockClass = 3;  // of advisory locks; SQL's functions can only take classes 1 and 2
constexpr uint32 kApplyLock = 2;

constexpr const char* kRead[] = {"installation", "epoch"};
constexpr const char* kWritten[] = {"checkpoint",          "batch",        "projection_failure", "device_state",
                                    "device_metric_state", "region_state", "region_metric_state"};

}  // namespace

bool hold_extension() {
    const Oid extension = get_extension_oid("telemetry_cqrs", true);
    if (!OidIsValid(extension)) return false;
    LockDatabaseObject(ExtensionRelationId, extension, 0, AccessShareLock);
    return get_extension_oid("telemetry_cqrs", true) == extension;
}

void take_apply_lock() {
    LOCKTAG tag;
    SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, 0, kApplyLock, kLockClass);
    LockAcquire(&tag, ExclusiveLock, false, false);
}

void lock_tables() {
    const Oid schema = get_namespace_oid("telemetry", true);
    // A table that is missing is the failure of whoever needs it, and told then.
    const auto lock = [schema](const char* name, LOCKMODE mode) {
        const Oid table = get_relname_relid(name, schema);
        if (OidIsValid(table)) LockRelationOid(table, mode);
        return table;
    };
    for (const char* name : kRead) lock(name, AccessShareLock);
    const Oid log = lock("event", AccessShareLock);
    list_free(find_inheritance_children(log, AccessShareLock));
    for (const char* name : kWritten) lock(name, RowExclusiveLock);
}

}  // namespace projection
