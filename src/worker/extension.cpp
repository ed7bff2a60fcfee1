// Reading the extension's row of pg_extension.
#include "worker/extension.hpp"

#include "postgres/error.hpp"
#include "postgres/text.hpp"
#include "runtime/library_version.hpp"

#include "postgres/pg.hpp"

namespace worker {
namespace {

constexpr int kVersionBytes = 64;

struct Row {
    bool found;
    char version[kVersionBytes];
};

Row read_row() {
    Row row{};
    const MemoryContext before = CurrentMemoryContext;
    SetCurrentStatementStartTimestamp();
    StartTransactionCommand();
    (void)GetTransactionSnapshot();
    Relation relation = table_open(ExtensionRelationId, AccessShareLock);
    ScanKeyData key;
    ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ, CStringGetDatum("telemetry_cqrs"));
    SysScanDesc scan = systable_beginscan(relation, ExtensionNameIndexId, true, nullptr, 1, &key);
    HeapTuple tuple = systable_getnext(scan);
    if (HeapTupleIsValid(tuple)) {
        bool isnull;
        const Datum version = heap_getattr(tuple, Anum_pg_extension_extversion, RelationGetDescr(relation), &isnull);
        row.found = true;
        if (!isnull) strlcpy(row.version, postgres::c_string_of(version), kVersionBytes);
    }
    systable_endscan(scan);
    table_close(relation, AccessShareLock);
    CommitTransactionCommand();
    MemoryContextSwitchTo(before);
    return row;
}

}  // namespace

Extension look_up_extension() {
    const Row row = postgres::guarded(read_row);
    if (!row.found) return {Presence::absent, {}};
    const std::string version = row.version;
    return {version == runtime::kLibraryVersion ? Presence::matching : Presence::other_version, version};
}

}  // namespace worker
