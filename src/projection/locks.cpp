// Takes the locks. This file is written wholly in P. A look into the catalogue leaves a snapshot, which would hold back vacuum
// during the wait for a lock. So each function drops it before it waits.
#include "projection/locks.hpp"

#include "error_codes.hpp"
#include "postgres/catalog.hpp"
#include "read_model/registry.hpp"
#include "runtime/anchor.hpp"
#include "runtime/library_version.hpp"
#include "runtime/own_lock.hpp"

#include "postgres/pg.hpp"

namespace projection {
namespace {

constexpr const char* kReadTables[] = {"installation", "epoch", "projection", "pause"};
constexpr const char* kWrittenTables[] = {"checkpoint",         "batcher",     "cursor", "batch", "projection_failure",
                                          "projection_setting", "parked_event"};

// False: the extension is gone. TC301: its version is not the library's.
bool require_version(Oid extension) {
    postgres::FoundExtension found;
    if (!postgres::find_extension(found) || found.oid != extension) return false;
    if (strcmp(found.version, runtime::kLibraryVersion) != 0)
        ereport(ERROR,
                (errcode(error_codes::kNotInstalled),
                 errmsg("extension version %s does not belong to library version %s", found.version, runtime::kLibraryVersion),
                 errdetail("This session has loaded another version of the library than the one that the extension needs."),
                 errhint("%s", runtime::kOtherVersionHint)));
    return true;
}

// The names of the state tables. Only a holder of the apply lock drops one. The pass locks one that is made meanwhile when it
// opens it.
List* state_tables() {
    List* names = NIL;
    PushActiveSnapshot(GetLatestSnapshot());
    read_model::visit_state_tables(
        GetActiveSnapshot(),
        [](void* found, const char* name) {
            List*& list = *static_cast<List**>(found);
            list = lappend(list, const_cast<char*>(name));
        },
        &names);
    PopActiveSnapshot();
    return names;
}

}  // namespace

bool hold_extension() {
    for (;;) {
        postgres::FoundExtension extension;
        if (!postgres::find_extension(extension)) return false;
        const Oid anchor = runtime::find_anchor(extension.oid);
        if (!OidIsValid(anchor)) return require_version(extension.oid);
        runtime::lock_anchor(anchor);
        if (runtime::find_anchor(extension.oid) == anchor) return require_version(extension.oid);
        UnlockRelationOid(anchor, AccessShareLock);
    }
}

void take_apply_lock() {
    const LOCKTAG tag = runtime::tag_of(runtime::OwnLock::kApply);
    InvalidateCatalogSnapshot();
    LockAcquire(&tag, ExclusiveLock, false, false);
}

void lock_tables() {
    const Oid schema = postgres::find_schema();
    // If a table is missing, the code that needs it raises the error.
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
    const List* states = state_tables();
    const ListCell* state;
    foreach (state, states) lock(static_cast<const char*>(lfirst(state)), RowExclusiveLock);
}

}  // namespace projection
