// Compares a segment with the shape that it must have. The errors say how to mend it. This file is written wholly in P.
#include "event_log/segment_check.hpp"

#include "error_codes.hpp"
#include "event_log/event_columns.hpp"
#include "event_log/segment_indexes.hpp"

#include "postgres/pg.hpp"

namespace event_log {
namespace {

using postgres::Obstacle;

constexpr postgres::KnownColumn kColumns[kEventColumns] = {
    {INT8OID, true},         // event_id
    {XID8OID, true},         // xid
    {TIMESTAMPTZOID, true},  // measured_at
    {TIMESTAMPTZOID, true},  // received_at
    {FLOAT8OID, false},      // temperature
    {FLOAT8OID, false},      // humidity
    {INT8OID, false},        // request_digest
    {UUIDOID, false},        // fingerprint
    {INT4OID, true},         // epoch
    {INT2OID, true},         // version
    {TEXTOID, true},         // type
    {TEXTOID, true},         // device_id
    {TEXTOID, false},        // region
    {TEXTOID, false},        // idempotency_key
    {JSONBOID, false},       // metrics
};

// The shape allows no further column: appends would fill it with NULL, and no dump of the log could be restored with it.
constexpr postgres::TableShape kSegment{kColumns, kEventColumns, nullptr, 0, nullptr, 0, false};

void describe_no_index(Obstacle& found, Relation segment, const char* kind, const char* columns) {
    postgres::describe_obstacle(found, psprintf("index on %s", columns), "no valid one is as the extension made it",
                                psprintf("CREATE %s ON %s %s", kind, postgres::sql_name_of(segment), columns));
}

void describe_no_fingerprint_index(Obstacle& found, Relation segment) {
    describe_no_index(found, segment, "UNIQUE INDEX", "(fingerprint)");
}

void describe_no_xid_index(Obstacle& found, Relation segment) {
    describe_no_index(found, segment, "INDEX", "(xid, event_id)");
}

bool has_index(Relation segment, bool (*fits)(Relation)) {
    Relation index = open_valid_index(segment, fits, AccessShareLock);
    if (index == nullptr) return false;
    index_close(index, AccessShareLock);
    return true;
}

[[noreturn]] void report(Relation segment, const Obstacle& found) {
    ereport(ERROR, (errcode(error_codes::kLogWasAltered),
                    errmsg("segment \"%s\" of the event log was altered", RelationGetRelationName(segment)),
                    errdetail("It differs in %s: %s.", found.object, found.reason),
                    found.command[0] != '\0' ? errhint("This mends it: %s", found.command)
                                             : errhint("Restore the log from a backup.")));
    pg_unreachable();
}

}  // namespace

bool find_segment_obstacle(Relation segment, Obstacle& found) {
    if (postgres::find_obstacle(segment, kSegment, postgres::kOnInsert, found)) return true;
    if (!has_index(segment, is_fingerprint_index)) {
        describe_no_fingerprint_index(found, segment);
        return true;
    }
    if (has_index(segment, is_xid_index)) return false;
    describe_no_xid_index(found, segment);
    return true;
}

void check_for_append(Relation segment) {
    Obstacle found;
    if (postgres::find_obstacle(segment, kSegment, postgres::kOnInsert, found)) report(segment, found);
}

void check_columns(Relation segment) {
    Obstacle found;
    if (postgres::find_changed_column(segment, kSegment, found)) report(segment, found);
}

void report_no_fingerprint_index(Relation segment) {
    Obstacle found;
    describe_no_fingerprint_index(found, segment);
    report(segment, found);
}

void report_no_xid_index(Relation segment) {
    Obstacle found;
    describe_no_xid_index(found, segment);
    report(segment, found);
}

}  // namespace event_log
