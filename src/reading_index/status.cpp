// SQL functions that show a reading index and settle it.
#include <iterator>

#include "postgres/entry_point.hpp"
#include "postgres/error.hpp"
#include "postgres/sql_function.hpp"
#include "reading_index/layout.hpp"
#include "reading_index/metapage.hpp"
#include "reading_index/note.hpp"
#include "reading_index/settle.hpp"

#include "postgres/pg.hpp"

namespace reading_index {
namespace {

struct OpenIndex {
    Relation table, index;
};

// P. Opens the index and its table. 42809: it is no reading index.
OpenIndex open_index(Oid oid, LOCKMODE lock) {
    const Oid table = IndexGetRelation(oid, true);
    if (!OidIsValid(table))
        ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("\"%s\" is no index", get_rel_name(oid))));
    const OpenIndex opened{table_open(table, AccessShareLock), index_open(oid, lock)};
    if (!is_reading_index(opened.index))
        ereport(ERROR,
                (errcode(ERRCODE_WRONG_OBJECT_TYPE),
                 errmsg("index \"%s\" is not one of access method telemetry_readings", RelationGetRelationName(opened.index))));
    return opened;
}

// P.
void close_index(const OpenIndex& opened, LOCKMODE lock) {
    index_close(opened.index, lock);
    table_close(opened.table, AccessShareLock);
}

// P. Returns a row of telemetry.reading_index_status().
Datum status_of(FunctionCallInfo fcinfo) {
    const OpenIndex opened = open_index(PG_GETARG_OID(0), AccessShareLock);
    Meta meta;
    read_meta(opened.index, meta);
    const int64 blocks = RelationGetNumberOfBlocks(opened.table);
    close_index(opened, AccessShareLock);
    int64 entries = 0, free_pages = 0;
    for (uint32 i = 0; i < meta.run_count; ++i) entries += meta.runs[i].entries;
    for (uint32 i = 0; i < meta.free_count; ++i) free_pages += meta.free[i].pages;
    Datum values[] = {Int64GetDatum(blocks),
                      Int64GetDatum(Max(blocks - static_cast<int64>(meta.settled), 0)),
                      Int64GetDatum(meta.noted_count + meta.settling_count),
                      Int64GetDatum(entries),
                      Int64GetDatum(meta.run_count),
                      Int64GetDatum(free_pages)};
    bool nulls[std::size(values)] = {};
    return postgres::row_of(fcinfo, values, nulls);
}

// P.
void settle_index(Oid oid) {
    postgres::require_writable("telemetry.settle_readings()");
    const OpenIndex opened = open_index(oid, RowExclusiveLock);
    if (is_to_be_settled(opened.index)) settle_all(opened.table, opened.index);
    close_index(opened, RowExclusiveLock);
}

}  // namespace
}  // namespace reading_index

TELEMETRY_FUNCTION(telemetry_show_reading_index) {
    return postgres::guarded([fcinfo] { return reading_index::status_of(fcinfo); });
}

TELEMETRY_FUNCTION(telemetry_settle_readings) {
    postgres::guarded([fcinfo] { reading_index::settle_index(PG_GETARG_OID(0)); });
    return Datum{0};
}
