// SQL function ingest_telemetry: the door for one reading.
#include "ingest/door.hpp"
#include "ingest/intake.hpp"
#include "ingest/receipt.hpp"
#include "postgres/entry_point.hpp"
#include "postgres/sql_function.hpp"
#include "postgres/text.hpp"

#include "postgres/pg.hpp"

namespace ingest {
namespace {

// P.
Request request_of(FunctionCallInfo fcinfo) {
    Request request{};
    const text* device_id = postgres::optional_text(fcinfo, 0);
    request.has_device_id = device_id != nullptr;
    if (request.has_device_id) request.reading.device_id = postgres::view_of(device_id);
    if (!PG_ARGISNULL(1)) request.reading.measured_at = PG_GETARG_TIMESTAMPTZ(1);
    if (!PG_ARGISNULL(2)) request.reading.temperature = PG_GETARG_FLOAT8(2);
    if (!PG_ARGISNULL(3)) request.reading.humidity = PG_GETARG_FLOAT8(3);
    request.reading.idempotency_key = postgres::optional_view_of(postgres::optional_text(fcinfo, 4));
    set_metrics(request, PG_ARGISNULL(5) ? nullptr : PG_GETARG_JSONB_P(5));
    request.reading.region = postgres::optional_view_of(postgres::optional_text(fcinfo, 6));
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

// P. The receipt of a reading that the policy keeps in the quarantine.
Datum receipt_of_quarantined(FunctionCallInfo fcinfo, TimestampTz received_at, std::string_view token) {
    Datum values[] = {Datum{}, postgres::text_datum("quarantined"), TimestampTzGetDatum(received_at),
                      postgres::text_datum(token)};
    bool nulls[4] = {true, false, false, false};
    return HeapTupleGetDatum(heap_form_tuple(result_row_type(fcinfo), values, nulls));
}

}  // namespace
}  // namespace ingest

TELEMETRY_FUNCTION(telemetry_ingest_reading) {
    using namespace ingest;
    Intake intake(Source::kReading, OnError::kRaise);
    return intake.counted([fcinfo, &intake] {
        const Door door("ingest_telemetry()");
        const Request request = postgres::guarded([fcinfo] { return request_of(fcinfo); });
        const Verdicts verdicts = intake.take({&request, 1});
        if (verdicts.candidates.empty()) {
            const std::string token = intake.token();
            return postgres::guarded([&, received_at = verdicts.stamp.received_at, view = std::string_view(token)] {
                return receipt_of_quarantined(fcinfo, received_at, view);
            });
        }
        const event_log::Candidate& stored = verdicts.candidates.front();
        return postgres::guarded([&] { return receipt_of(fcinfo, stored); });
    });
}
