// SQL function table_obstacles: returns the objects on the extension's tables that keep the extension from writing them.
//
// It looks by the same functions as the writers do.
#include "event_log/segment_check.hpp"
#include "postgres/catalog.hpp"
#include "postgres/entry_point.hpp"
#include "postgres/key_lookup.hpp"
#include "postgres/own_table.hpp"
#include "postgres/text.hpp"
#include "read_model/registry.hpp"
#include "runtime/own_tables.hpp"

#include "postgres/pg.hpp"

namespace query {
namespace {

// P.
void put_obstacle(ReturnSetInfo* result, Oid table, const postgres::Obstacle& obstacle) {
    Datum values[] = {ObjectIdGetDatum(table), postgres::text_datum(obstacle.object), postgres::text_datum(obstacle.reason),
                      postgres::text_datum(obstacle.command)};
    bool nulls[] = {false, false, false, obstacle.command[0] == '\0'};
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

// P. Puts at most one obstacle, the first that a writer of this table would meet.
void put_obstacles_on(ReturnSetInfo* result, const postgres::OwnTable& own_table) {
    // The table of a newer version may not be there yet.
    const Oid relation = postgres::find_relation(postgres::require_schema(), own_table.name);
    if (!OidIsValid(relation)) return;
    Relation table = table_open(relation, AccessShareLock);
    postgres::Obstacle obstacle;
    if (postgres::find_native_obstacle(table, own_table, obstacle) ||
        postgres::find_statement_obstacle(table, own_table, obstacle))
        put_obstacle(result, relation, obstacle);
    table_close(table, AccessShareLock);
}

// P.
void put_obstacles_on_segments(ReturnSetInfo* result) {
    List* segments = find_inheritance_children(postgres::require_relation("event"), AccessShareLock);
    ListCell* each;
    foreach (each, segments) {
        Relation segment = table_open(lfirst_oid(each), NoLock);
        postgres::Obstacle obstacle;
        if (event_log::find_segment_obstacle(segment, obstacle)) put_obstacle(result, RelationGetRelid(segment), obstacle);
        table_close(segment, AccessShareLock);
    }
    list_free(segments);
}

}  // namespace
}  // namespace query

TELEMETRY_FUNCTION(telemetry_table_obstacles) {
    postgres::guarded([fcinfo] {
        InitMaterializedSRF(fcinfo, 0);
        auto* result = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
        for (const postgres::OwnTable* own_table : runtime::own_tables()) query::put_obstacles_on(result, *own_table);
        read_model::visit_state_tables(
            GetActiveSnapshot(),
            [](void* context, const char* name) {
                query::put_obstacles_on(static_cast<ReturnSetInfo*>(context), runtime::state_table(name));
            },
            result);
        query::put_obstacles_on_segments(result);
    });
    return Datum{};
}
