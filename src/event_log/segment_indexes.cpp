// Sorts the indexes of a segment, and enters rows into the further ones. This file is written wholly in P.
#include "event_log/segment_indexes.hpp"

#include "event_log/event_columns.hpp"
#include "postgres/as_owner.hpp"
#include "postgres/server_versions.hpp"
#include "reading_index/note.hpp"

#include "postgres/pg.hpp"

namespace event_log {
namespace {

// The server's headers have no names for these two.
constexpr Oid kUuidOperators = 2968;
constexpr Oid kXid8Operators = 5067;

bool is_key(Relation index, int position, EventColumn column, Oid operators) {
    return index->rd_index->indkey.values[position] == column + 1 && index->rd_opfamily[position] == operators &&
           index->rd_indoption[position] == 0;
}

// The server simplifies a predicate or an expression when it first gives it out, and then runs functions of it. So this looks
// whether there is one without asking for it.
bool calls_functions(Relation index) {
    return !heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, nullptr) ||
           !heap_attisnull(index->rd_indextuple, Anum_pg_index_indexprs, nullptr);
}

bool is_plain_btree(Relation index, int columns) {
    const Form_pg_index form = index->rd_index;
    return index->rd_rel->relam == BTREE_AM_OID && form->indnatts == columns && form->indnkeyatts == columns &&
           form->indimmediate && !form->indisexclusion && !calls_functions(index);
}

IndexSet make_set(int size) {
    const auto count = static_cast<Size>(size);
    return {static_cast<Relation*>(palloc(sizeof(Relation) * count)),
            static_cast<IndexInfo**>(palloc(sizeof(IndexInfo*) * count)), 0};
}

// From the first call on, the owner's settings hold until the indexes are closed.
void hold_owners_settings(SegmentIndexes& opened) {
    if (opened.settings_level > 0) return;
    opened.settings_level = NewGUCNestLevel();
    postgres::take_owners_settings();
}

void add(IndexSet& set, Relation index) {
    set.indexes[set.count] = index;
    set.infos[set.count] = BuildIndexInfo(index);
    ++set.count;
}

// Opens all indexes before the caller looks at any of them. While a lock waits, the session may learn that another index has
// become the valid one.
int open_all(Relation segment, LOCKMODE lock, Relation** opened) {
    List* oids = RelationGetIndexList(segment);
    const int count = list_length(oids);
    *opened = static_cast<Relation*>(palloc(sizeof(Relation) * static_cast<Size>(count + 1)));
    for (int i = 0; i < count; ++i) (*opened)[i] = index_open(list_nth_oid(oids, i), lock);
    list_free(oids);
    return count;
}

void prepare_further(SegmentIndexes& opened, Relation segment, const IndexSet& further) {
    opened.executor = CreateExecutorState();
    opened.further = makeNode(ResultRelInfo);
    InitResultRelInfo(opened.further, segment, 0, nullptr, 0);
    opened.further->ri_NumIndices = further.count;
    opened.further->ri_IndexRelationDescs = further.indexes;
    opened.further->ri_IndexRelationInfo = further.infos;
}

}  // namespace

bool is_fingerprint_index(Relation index) {
    return is_plain_btree(index, 1) && index->rd_index->indisunique && !index->rd_index->indnullsnotdistinct &&
           is_key(index, 0, kFingerprint, kUuidOperators);
}

bool is_xid_index(Relation index) {
    return is_plain_btree(index, 2) && is_key(index, 0, kXid, kXid8Operators) &&
           is_key(index, 1, kEventId, INTEGER_BTREE_FAM_OID);
}

Relation open_valid_index(Relation segment, bool (*fits)(Relation), LOCKMODE lock) {
    Relation* indexes;
    Relation found = nullptr;
    const int count = open_all(segment, lock, &indexes);
    for (int i = 0; i < count; ++i) {
        if (found == nullptr && indexes[i]->rd_index->indisvalid && fits(indexes[i]))
            found = indexes[i];
        else
            index_close(indexes[i], lock);
    }
    pfree(indexes);
    return found;
}

void open_indexes(SegmentIndexes& opened, Relation segment) {
    Relation* indexes;
    const int count = open_all(segment, RowExclusiveLock, &indexes);
    IndexSet further = make_set(count);
    opened.fingerprints = make_set(count);
    opened.probed_number = -1;
    opened.xids = make_set(count);
    opened.has_valid_xids = false;
    opened.readings = make_set(count);
    opened.settings_level = 0;
    for (int i = 0; i < count; ++i) {
        Relation index = indexes[i];
        const Form_pg_index form = index->rd_index;
        if (!form->indisready) {
            index_close(index, RowExclusiveLock);
        } else if (is_fingerprint_index(index)) {
            if (opened.probed_number < 0 && form->indisvalid) opened.probed_number = opened.fingerprints.count;
            add(opened.fingerprints, index);
        } else if (is_xid_index(index)) {
            opened.has_valid_xids = opened.has_valid_xids || form->indisvalid;
            add(opened.xids, index);
        } else if (reading_index::is_reading_index(index)) {
            if (calls_functions(index)) hold_owners_settings(opened);
            add(opened.readings, index);
        } else {
            hold_owners_settings(opened);
            add(further, index);
        }
    }
    pfree(indexes);
    opened.further = nullptr;
    opened.executor = nullptr;
    if (further.count > 0) prepare_further(opened, segment, further);
}

void close_indexes(SegmentIndexes& opened) {
    for (int i = 0; i < opened.fingerprints.count; ++i) index_close(opened.fingerprints.indexes[i], NoLock);
    for (int i = 0; i < opened.xids.count; ++i) index_close(opened.xids.indexes[i], NoLock);
    for (int i = 0; i < opened.readings.count; ++i) index_close(opened.readings.indexes[i], NoLock);
    if (opened.further != nullptr) {
        ExecCloseIndices(opened.further);
        FreeExecutorState(opened.executor);
    }
    if (opened.settings_level > 0) AtEOXact_GUC(false, opened.settings_level);
}

void insert_further(SegmentIndexes& opened, TupleTableSlot* row) {
    if (opened.further == nullptr) return;
    postgres::insert_index_entries(opened.further, row, opened.executor, false, postgres::IndexesToUpdate::kAll);
    ResetPerTupleExprContext(opened.executor);
}

}  // namespace event_log
