// Refuses to write a table that carries something that the write would bypass or could not do.
// This file is written wholly in P.
#include "postgres/own_table.hpp"

#include "error_codes.hpp"
#include "postgres/catalog.hpp"
#include "postgres/deferred_trigger.hpp"
#include "postgres/key_lookup.hpp"

#include "postgres/pg.hpp"

namespace postgres {
namespace {

[[noreturn]] void refuse(const OwnTable& own, const Obstacle& obstacle) {
    ereport(ERROR, (errcode(error_codes::kTableCarriesObstacle),
                    errmsg("table telemetry.%s cannot be written because of %s", own.name, obstacle.object),
                    errdetail("This is the reason: %s.", obstacle.reason),
                    obstacle.command[0] == '\0' ? 0 : errhint("This mends it: %s", obstacle.command)));
    pg_unreachable();
}

}  // namespace

bool find_native_obstacle(Relation table, const OwnTable& own, Obstacle& found) {
    return own.native_writes != 0 && find_obstacle(table, own.shape, own.native_writes, found);
}

bool find_statement_obstacle(Relation table, const OwnTable& own, Obstacle& found) {
    if (own.native_writes == 0 && find_changed_column(table, own.shape, found)) return true;
    if (find_deferred_trigger(table, own.sql_writes, found)) return true;
    if (!own.has_on_conflict || !find_rule(table, kOnInsert | kOnUpdate, found)) return false;
    found.reason = "INSERT .. ON CONFLICT cannot be used with it";
    return true;
}

void refuse_native_obstacle(Relation table, const OwnTable& own) {
    Obstacle obstacle;
    if (find_native_obstacle(table, own, obstacle)) refuse(own, obstacle);
}

void refuse_native_obstacle(const OwnTable& own) {
    Relation table = table_open(require_relation(own.name), RowExclusiveLock);
    refuse_native_obstacle(table, own);
    table_close(table, NoLock);
}

void refuse_changed_columns(Relation table, const OwnTable& own) {
    Obstacle obstacle;
    if (find_changed_column(table, own.shape, obstacle)) refuse(own, obstacle);
}

void refuse_statement_obstacle(const OwnTable& own) {
    Relation table = table_open(require_relation(own.name), RowExclusiveLock);
    Obstacle obstacle;
    if (find_statement_obstacle(table, own, obstacle)) refuse(own, obstacle);
    table_close(table, NoLock);
}

}  // namespace postgres
