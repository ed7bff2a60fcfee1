// SQL function worker_status: what shared memory says about the projector of this database.
#include "postgres/entry_point.hpp"
#include "postgres/error.hpp"
#include "runtime/shared_state.hpp"

#include "postgres/pg.hpp"

TELEMETRY_FUNCTION(telemetry_get_worker_status) {
    const bool is_preloaded = runtime::shared_state() != nullptr;
    const runtime::WorkerStatus status = runtime::worker_status(MyDatabaseId);
    return postgres::guarded([&] {
        TupleDesc shape;
        if (get_call_result_type(fcinfo, nullptr, &shape) != TYPEFUNC_COMPOSITE) elog(ERROR, "return type must be a row type");
        const bool has_error = status.error.at != 0;
        Datum values[] = {BoolGetDatum(is_preloaded),
                          Int32GetDatum(status.pid),
                          CStringGetTextDatum(runtime::name_of(status.state)),
                          TimestampTzGetDatum(status.since),
                          CStringGetTextDatum(status.error.text),
                          TimestampTzGetDatum(status.error.at)};
        bool nulls[] = {false, status.pid == 0, false, status.since == 0, !has_error, !has_error};
        return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(shape), values, nulls));
    });
}
