// SQL function http_status: tells how the workers of this database that answer HTTP fare.
#include "postgres/entry_point.hpp"
#include "postgres/error.hpp"
#include "postgres/sql_function.hpp"
#include "postgres/text.hpp"
#include "runtime/presence.hpp"

#include "postgres/pg.hpp"

namespace query {
namespace {

// P.
void put_worker(ReturnSetInfo* result, int number, const runtime::WorkerStatus& status) {
    const bool has_error = status.error.text[0] != '\0';
    Datum values[] = {Int32GetDatum(number + 1),
                      postgres::text_datum(runtime::name_of(status.state)),
                      Int32GetDatum(status.pid),
                      TimestampTzGetDatum(status.since),
                      postgres::text_datum(status.error.text),
                      TimestampTzGetDatum(status.error.at)};
    bool nulls[] = {false, false, status.pid == 0, status.since == 0, !has_error, status.error.at == 0};
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

}  // namespace
}  // namespace query

TELEMETRY_FUNCTION(telemetry_get_http_status) {
    const char* database = postgres::guarded([fcinfo] {
        InitMaterializedSRF(fcinfo, 0);
        return static_cast<const char*>(get_database_name(MyDatabaseId));
    });
    for (int number = 0; database != nullptr && number < runtime::kMostHttpWorkers; ++number) {
        const runtime::Seat seat(runtime::Role::kHttp, number);
        if (runtime::shared_state() == nullptr || !runtime::is_wanted_in(database, seat)) continue;
        const runtime::WorkerStatus status = runtime::worker_presence().status(seat);
        postgres::guarded([fcinfo, number, &status] {
            query::put_worker(reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo), number, status);
        });
    }
    PG_RETURN_NULL();
}
