// Looks into the catalogue. This file is written wholly in P.
#include "postgres/catalog.hpp"

#include "postgres/text.hpp"

#include "postgres/pg.hpp"

namespace postgres {

bool find_extension(FoundExtension& found) {
    found = {};
    Relation relation = table_open(ExtensionRelationId, AccessShareLock);
    ScanKeyData key;
    ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ, CStringGetDatum(kExtensionName));
    SysScanDesc scan = systable_beginscan(relation, ExtensionNameIndexId, true, nullptr, 1, &key);
    HeapTuple row = systable_getnext(scan);
    const bool is_there = HeapTupleIsValid(row);
    if (is_there) {
        found.oid = reinterpret_cast<Form_pg_extension>(GETSTRUCT(row))->oid;
        bool is_null;
        const Datum version = heap_getattr(row, Anum_pg_extension_extversion, RelationGetDescr(relation), &is_null);
        if (!is_null) strlcpy(found.version, c_string_of(version), sizeof found.version);
    }
    systable_endscan(scan);
    table_close(relation, AccessShareLock);
    return is_there;
}

Oid find_schema() {
    return get_namespace_oid(kSchemaName, true);
}

Oid require_schema() {
    return get_namespace_oid(kSchemaName, false);
}

bool is_schema_of_extension(Oid schema) {
    FoundExtension extension;
    return find_extension(extension) && getExtensionOfObject(NamespaceRelationId, schema) == extension.oid;
}

Oid find_relation(Oid schema, const char* name) {
    return OidIsValid(schema) ? get_relname_relid(name, schema) : InvalidOid;
}

Oid require_relation(const char* name) {
    const Oid relation = find_relation(require_schema(), name);
    if (!OidIsValid(relation))
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("relation \"%s.%s\" does not exist", kSchemaName, name)));
    return relation;
}

Oid owner_of_relation(Oid relation) {
    HeapTuple row = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
    if (!HeapTupleIsValid(row)) return InvalidOid;
    const Oid owner = reinterpret_cast<Form_pg_class>(GETSTRUCT(row))->relowner;
    ReleaseSysCache(row);
    return owner;
}

// Looks at members only: a role may let an index of its own depend on the extension, and may lock that index as it likes.
Oid first_relation_of(Oid extension) {
    Relation relation = table_open(DependRelationId, AccessShareLock);
    ScanKeyData keys[2];
    ScanKeyInit(&keys[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(ExtensionRelationId));
    ScanKeyInit(&keys[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(extension));
    SysScanDesc scan = systable_beginscan(relation, DependReferenceIndexId, true, nullptr, 2, keys);
    Oid found = InvalidOid;
    while (!OidIsValid(found)) {
        HeapTuple row = systable_getnext(scan);
        if (!HeapTupleIsValid(row)) break;
        const auto* dependency = reinterpret_cast<Form_pg_depend>(GETSTRUCT(row));
        if (dependency->classid == RelationRelationId && dependency->deptype == DEPENDENCY_EXTENSION) found = dependency->objid;
    }
    systable_endscan(scan);
    table_close(relation, AccessShareLock);
    return found;
}

}  // namespace postgres
