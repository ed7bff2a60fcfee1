// Finding the gate as DROP EXTENSION does (findDependentObjects in the server), and locking it. This file is written wholly in
// P.
#include "runtime/gate.hpp"

#include "postgres/pg.hpp"

namespace runtime {

// Members only: a role may let an index of its own depend on the extension, and lock that index as it likes.
Oid find_gate(Oid extension) {
    Relation relation = table_open(DependRelationId, AccessShareLock);
    ScanKeyData keys[2];
    ScanKeyInit(&keys[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(ExtensionRelationId));
    ScanKeyInit(&keys[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(extension));
    SysScanDesc scan = systable_beginscan(relation, DependReferenceIndexId, true, nullptr, 2, keys);
    Oid gate = InvalidOid;
    while (!OidIsValid(gate)) {
        HeapTuple row = systable_getnext(scan);
        if (!HeapTupleIsValid(row)) break;
        const auto* dependency = reinterpret_cast<Form_pg_depend>(GETSTRUCT(row));
        if (dependency->classid == RelationRelationId && dependency->deptype == DEPENDENCY_EXTENSION) gate = dependency->objid;
    }
    systable_endscan(scan);
    table_close(relation, AccessShareLock);
    InvalidateCatalogSnapshot();
    return gate;
}

// A lock that the transaction already has would not bring the news.
void lock_gate(Oid gate) {
    LockRelationOid(gate, AccessShareLock);
    AcceptInvalidationMessages();
}

}  // namespace runtime
