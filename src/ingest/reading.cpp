// SQL function ingest_telemetry: the door for one reading.
#include "ingest/command.hpp"
#include "ingest/door.hpp"
#include "ingest/receipt.hpp"
#include "postgres/entry_point.hpp"
#include "postgres/sql_function.hpp"
#include "postgres/text.hpp"

#include "postgres/pg.hpp"

namespace ingest {
namespace {

Request request_of(FunctionCallInfo fcinfo) {
    Request request{};
    request.device_id = postgres::optional_text(fcinfo, 0);
    request.has_measured_at = !PG_ARGISNULL(1);
    if (request.has_measured_at) request.measured_at = PG_GETARG_TIMESTAMPTZ(1);
    request.has_temperature = !PG_ARGISNULL(2);
    if (request.has_temperature) request.temperature = PG_GETARG_FLOAT8(2);
    request.has_humidity = !PG_ARGISNULL(3);
    if (request.has_humidity) request.humidity = PG_GETARG_FLOAT8(3);
    request.idempotency_key = postgres::optional_text(fcinfo, 4);
    request.metrics = PG_ARGISNULL(5) ? nullptr : PG_GETARG_JSONB_P(5);
    request.region = postgres::optional_text(fcinfo, 6);
    return request;
}

// P.
Datum receipt_of(FunctionCallInfo fcinfo, const event_log::Candidate& stored) {
    const char* status = stored.outcome == event_log::AppendOutcome::kAccepted ? "accepted" : "duplicate";
    Datum values[] = {Int64GetDatum(stored.event_id.value), postgres::text_datum(status),
                      TimestampTzGetDatum(stored.received_at), token_of(stored.epoch, stored.xid)};
    bool nulls[4] = {};
    return HeapTupleGetDatum(heap_form_tuple(result_row_type(fcinfo), values, nulls));
}

}  // namespace
}  // namespace ingest

TELEMETRY_FUNCTION(telemetry_ingest_reading) {
    using namespace ingest;
    return counted(false, [fcinfo](Tally& tally) {
        tally.received = 1;
        const Door door("ingest_telemetry()");
        const Request request = postgres::guarded([fcinfo] { return request_of(fcinfo); });
        const Verdicts verdicts = handle_command(&request, 1, OnError::kRaise, false, tally);
        const event_log::Candidate& stored = verdicts.candidates.front();
        return postgres::guarded([&] { return receipt_of(fcinfo, stored); });
    });
}
