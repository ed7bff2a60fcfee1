// Index scans for one key. Written wholly in P: plain C types and palloc, no destructors.
#include "postgres/key_lookup.hpp"

#include "postgres/pg.hpp"

namespace postgres {
namespace {

RegProcedure equality_of(Oid type) {
    switch (type) {
        case TEXTOID:
            return F_TEXTEQ;
        case INT4OID:
            return F_INT4EQ;
        case INT8OID:
            return F_INT8EQ;
        default:
            elog(ERROR, "no equality for a key of type %u", type);
    }
}

void open_key_index(KeyLookup& lookup) {
    const Oid index = RelationGetPrimaryKeyIndex(lookup.table);
    if (!OidIsValid(index)) elog(ERROR, "table \"%s\" has no primary key", RelationGetRelationName(lookup.table));
    lookup.key_index = index_open(index, lookup.lock);
    lookup.key_count = IndexRelationGetNumberOfKeyAttributes(lookup.key_index);
    if (lookup.key_count > kMaxKeyColumns)
        elog(ERROR, "primary key of \"%s\" has too many columns", RelationGetRelationName(lookup.table));
    for (int i = 0; i < lookup.key_count; ++i) {
        const Oid type = TupleDescAttr(RelationGetDescr(lookup.key_index), i)->atttypid;
        ScanKeyEntryInitialize(&lookup.keys[i], 0, static_cast<AttrNumber>(i + 1), BTEqualStrategyNumber, InvalidOid,
                               lookup.key_index->rd_indcollation[i], equality_of(type), 0);
    }
}

}  // namespace

Oid find_table(const char* schema, const char* name) {
    const Oid relation = get_relname_relid(name, get_namespace_oid(schema, false));
    if (!OidIsValid(relation))
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("relation \"%s.%s\" does not exist", schema, name)));
    return relation;
}

void open_lookup(KeyLookup& lookup, Oid relation, int columns, Snapshot snapshot, LOCKMODE lock) {
    lookup.memory = CurrentMemoryContext;
    lookup.snapshot = snapshot;
    lookup.lock = lock;
    lookup.table = table_open(relation, lock);
    if (RelationGetDescr(lookup.table)->natts < columns)
        elog(ERROR, "table \"%s\" lacks columns", RelationGetRelationName(lookup.table));
    open_key_index(lookup);
    lookup.scan = index_beginscan(lookup.table, lookup.key_index, snapshot, lookup.key_count, 0);
    lookup.found = table_slot_create(lookup.table, nullptr);
}

void close_lookup(KeyLookup& lookup) {
    ExecDropSingleTupleTableSlot(lookup.found);
    index_endscan(lookup.scan);
    index_close(lookup.key_index, NoLock);
    table_close(lookup.table, NoLock);
}

bool find_row(KeyLookup& lookup, const Datum* key_values) {
    // An index scan allocates lazily: it is advanced in the context it was begun in.
    const MemoryContext caller = MemoryContextSwitchTo(lookup.memory);
    for (int i = 0; i < lookup.key_count; ++i) lookup.keys[i].sk_argument = key_values[i];
    index_rescan(lookup.scan, lookup.keys, lookup.key_count, nullptr, 0);
    const bool is_found = index_getnext_slot(lookup.scan, BackwardScanDirection, lookup.found);
    if (is_found) slot_getallattrs(lookup.found);
    MemoryContextSwitchTo(caller);
    return is_found;
}

bool find_row_at(KeyLookup& lookup, ItemPointer where) {
    if (!table_tuple_fetch_row_version(lookup.table, where, lookup.snapshot, lookup.found)) return false;
    slot_getallattrs(lookup.found);
    return true;
}

}  // namespace postgres
