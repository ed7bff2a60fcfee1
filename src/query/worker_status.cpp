// SQL function worker_status: tells how the projector of this database fares.
#include "postgres/entry_point.hpp"
#include "postgres/error.hpp"
#include "postgres/sql_function.hpp"
#include "postgres/text.hpp"
#include "runtime/presence.hpp"

#include "postgres/pg.hpp"

TELEMETRY_FUNCTION(telemetry_get_worker_status) {
    const runtime::WorkerStatus status = runtime::worker_presence().status(runtime::Role::kProjector);
    return postgres::guarded([fcinfo, &status] {
        const bool has_error = status.error.text[0] != '\0';
        Datum values[] = {BoolGetDatum(runtime::shared_state() != nullptr),
                          Int32GetDatum(status.pid),
                          postgres::text_datum(runtime::name_of(status.state)),
                          TimestampTzGetDatum(status.since),
                          postgres::text_datum(status.error.text),
                          TimestampTzGetDatum(status.error.at)};
        bool nulls[] = {false, status.pid == 0, false, status.since == 0, !has_error, status.error.at == 0};
        return postgres::row_of(fcinfo, values, nulls);
    });
}
