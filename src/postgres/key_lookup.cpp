// Scans an index for one key. This file is written wholly in P.
#include "postgres/key_lookup.hpp"

#include "error_codes.hpp"
#include "postgres/server_versions.hpp"

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
        case TIMESTAMPTZOID:
            return F_TIMESTAMPTZ_EQ;
        default:
            elog(ERROR, "no equality for a key of type %u", type);
    }
}

[[noreturn]] void report_altered_key(Relation table, int key_count) {
    StringInfoData columns;
    initStringInfo(&columns);
    for (int i = 0; i < key_count; ++i)
        appendStringInfo(&columns, "%s%s", i == 0 ? "" : ", ",
                         quote_identifier(NameStr(TupleDescAttr(RelationGetDescr(table), i)->attname)));
    const char* name =
        quote_qualified_identifier(get_namespace_name(RelationGetNamespace(table)), RelationGetRelationName(table));
    const Oid old = primary_key_index_of(table);
    const char* drop = OidIsValid(old) ? psprintf("DROP CONSTRAINT %s, ", quote_identifier(get_rel_name(old))) : "";
    ereport(ERROR, (errcode(error_codes::kLogWasAltered),
                    errmsg("primary key of table \"%s\" was altered", RelationGetRelationName(table)),
                    errdetail("The extension finds rows by a primary key on (%s).", columns.data),
                    errhint("This mends it: ALTER TABLE %s %sADD PRIMARY KEY (%s)", name, drop, columns.data)));
    pg_unreachable();
}

bool is_made_of_first_columns(Relation index, int key_count) {
    if (IndexRelationGetNumberOfKeyAttributes(index) != key_count) return false;
    for (int i = 0; i < key_count; ++i)
        if (index->rd_index->indkey.values[i] != i + 1) return false;
    return true;
}

void open_key(KeyLookup& lookup, int key_count) {
    lookup.key_index = open_key_index(lookup.relation, lookup.lock, key_count);
    lookup.key_count = key_count;
    for (int i = 0; i < key_count; ++i) {
        const Oid type = TupleDescAttr(RelationGetDescr(lookup.key_index), i)->atttypid;
        ScanKeyEntryInitialize(&lookup.keys[i], 0, static_cast<AttrNumber>(i + 1), BTEqualStrategyNumber, InvalidOid,
                               lookup.key_index->rd_indcollation[i], equality_of(type), 0);
    }
}

void open_relations(KeyLookup& lookup, Oid table, int column_count, Snapshot snapshot, LOCKMODE lock, int key_count) {
    lookup.memory = CurrentMemoryContext;
    lookup.snapshot = snapshot;
    lookup.lock = lock;
    lookup.relation = table_open(table, lock);
    if (RelationGetDescr(lookup.relation)->natts < column_count)
        elog(ERROR, "table \"%s\" lacks columns", RelationGetRelationName(lookup.relation));
    open_key(lookup, key_count);
    lookup.found = table_slot_create(lookup.relation, nullptr);
}

// An index scan allocates lazily, so it must advance in the memory context in which it began.
bool advance(KeyLookup& lookup, ScanDirection direction) {
    const MemoryContext caller = MemoryContextSwitchTo(lookup.memory);
    const bool is_found = index_getnext_slot(lookup.scan, direction, lookup.found);
    if (is_found) slot_getallattrs(lookup.found);
    MemoryContextSwitchTo(caller);
    return is_found;
}

bool find_first(KeyLookup& lookup, ScanKey keys, ScanDirection direction) {
    const MemoryContext caller = MemoryContextSwitchTo(lookup.memory);
    index_rescan(lookup.scan, keys, lookup.scan->numberOfKeys, nullptr, 0);
    MemoryContextSwitchTo(caller);
    return advance(lookup, direction);
}

}  // namespace

Relation open_key_index(Relation table, LOCKMODE lock, int key_count) {
    const Oid oid = primary_key_index_of(table);
    if (!OidIsValid(oid)) report_altered_key(table, key_count);
    Relation index = index_open(oid, lock);
    if (!is_made_of_first_columns(index, key_count)) report_altered_key(table, key_count);
    return index;
}

void open_lookup(KeyLookup& lookup, Oid table, int column_count, Snapshot snapshot, LOCKMODE lock, int key_count) {
    open_relations(lookup, table, column_count, snapshot, lock, key_count);
    lookup.scan = begin_index_scan(lookup.relation, lookup.key_index, snapshot, key_count);
}

void close_lookup(KeyLookup& lookup) {
    ExecDropSingleTupleTableSlot(lookup.found);
    index_endscan(lookup.scan);
    index_close(lookup.key_index, NoLock);
    table_close(lookup.relation, NoLock);
}

bool find_row(KeyLookup& lookup, const Datum* key_values) {
    for (int i = 0; i < lookup.key_count; ++i) lookup.keys[i].sk_argument = key_values[i];
    return find_first(lookup, lookup.keys, BackwardScanDirection);
}

bool find_rows(KeyLookup& lookup, const Datum* key_values, Datum last) {
    const int time = lookup.key_count - 2;
    ScanKeyData keys[kMaxKeyColumns];
    for (int i = 0; i < time; ++i) {
        keys[i] = lookup.keys[i];
        keys[i].sk_argument = key_values[i];
    }
    const auto number = static_cast<AttrNumber>(time + 1);
    ScanKeyEntryInitialize(&keys[time], 0, number, BTGreaterEqualStrategyNumber, InvalidOid, InvalidOid, F_TIMESTAMPTZ_GE,
                           key_values[time]);
    ScanKeyEntryInitialize(&keys[time + 1], 0, number, BTLessEqualStrategyNumber, InvalidOid, InvalidOid, F_TIMESTAMPTZ_LE,
                           last);
    return find_first(lookup, keys, ForwardScanDirection);
}

bool find_row_after(KeyLookup& lookup) {
    return advance(lookup, ForwardScanDirection);
}

bool find_next_row(KeyLookup& lookup, std::int64_t key) {
    ScanKeyData above;
    ScanKeyEntryInitialize(&above, 0, 1, BTGreaterStrategyNumber, InvalidOid, InvalidOid, F_INT8GT, Int64GetDatum(key));
    return find_first(lookup, &above, ForwardScanDirection);
}

bool find_previous_row(KeyLookup& lookup, std::int64_t key) {
    ScanKeyData up_to;
    ScanKeyEntryInitialize(&up_to, 0, 1, BTLessEqualStrategyNumber, InvalidOid, InvalidOid, F_INT8LE, Int64GetDatum(key));
    return find_first(lookup, &up_to, BackwardScanDirection);
}

void open_walk(KeyLookup& lookup, Oid table, int column_count, Snapshot snapshot, int key_count) {
    open_relations(lookup, table, column_count, snapshot, AccessShareLock, key_count);
    lookup.scan = begin_index_scan(lookup.relation, lookup.key_index, snapshot, 1);
}

bool find_row_before(KeyLookup& lookup) {
    ScanKeyData any, members[kMaxKeyColumns];
    if (TTS_EMPTY(lookup.found)) {
        ScanKeyEntryInitialize(&any, SK_ISNULL | SK_SEARCHNOTNULL, 1, InvalidStrategy, InvalidOid, InvalidOid, InvalidOid, 0);
        return find_first(lookup, &any, BackwardScanDirection);
    }
    // This is (first key column, second, ..) < (..) of SQL.
    for (int i = 0; i < lookup.key_count; ++i) {
        const auto number = static_cast<AttrNumber>(i + 1);
        ScanKeyEntryInitializeWithInfo(&members[i], SK_ROW_MEMBER | (number == lookup.key_count ? SK_ROW_END : 0), number,
                                       BTLessStrategyNumber, InvalidOid, lookup.key_index->rd_indcollation[i],
                                       index_getprocinfo(lookup.key_index, number, BTORDER_PROC), lookup.found->tts_values[i]);
    }
    any = {};
    any.sk_flags = SK_ROW_HEADER;
    any.sk_attno = 1;
    any.sk_strategy = BTLessStrategyNumber;
    any.sk_argument = PointerGetDatum(members);
    return find_first(lookup, &any, BackwardScanDirection);
}

bool find_row_at(KeyLookup& lookup, ItemPointer tid) {
    if (!table_tuple_fetch_row_version(lookup.relation, tid, lookup.snapshot, lookup.found)) return false;
    slot_getallattrs(lookup.found);
    return true;
}

BlockNumber page_count_of(Oid table) {
    Relation relation = table_open(table, AccessShareLock);
    const BlockNumber pages = RelationGetNumberOfBlocks(relation);
    table_close(relation, AccessShareLock);
    return pages;
}

}  // namespace postgres
