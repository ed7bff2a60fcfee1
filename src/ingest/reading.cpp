// SQL functions ingest_telemetry, the door for one reading, and check_reading, which says what that door would answer.
#include "ingest/door.hpp"
#include "ingest/intake.hpp"
#include "ingest/receipt.hpp"
#include "postgres/entry_point.hpp"
#include "postgres/sql_function.hpp"
#include "postgres/text.hpp"

#include "postgres/pg.hpp"

namespace ingest {
namespace {

// Which of the names come as values of type uuid, and not of type text.
struct UuidArguments {
    bool device_id, idempotency_key;
};

// P. The argument as a text. Null: the argument is NULL.
const text* name_argument(FunctionCallInfo fcinfo, int number, bool is_uuid) {
    if (!is_uuid || PG_ARGISNULL(number)) return postgres::optional_text(fcinfo, number);
    return postgres::new_text(DatumGetCString(DirectFunctionCall1(uuid_out, PG_GETARG_DATUM(number))));
}

// P.
Request request_of(FunctionCallInfo fcinfo, UuidArguments uuids) {
    Request request{};
    const text* device_id = name_argument(fcinfo, 0, uuids.device_id);
    request.has_device_id = device_id != nullptr;
    if (request.has_device_id) request.reading.device_id = postgres::view_of(device_id);
    if (!PG_ARGISNULL(1)) request.reading.measured_at = PG_GETARG_TIMESTAMPTZ(1);
    if (!PG_ARGISNULL(2)) request.reading.temperature = PG_GETARG_FLOAT8(2);
    if (!PG_ARGISNULL(3)) request.reading.humidity = PG_GETARG_FLOAT8(3);
    request.reading.idempotency_key = postgres::optional_view_of(name_argument(fcinfo, 4, uuids.idempotency_key));
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
    return postgres::row_of(fcinfo, values, nulls);
}

// P. The receipt of a reading that the policy keeps in the quarantine.
Datum receipt_of_quarantined(FunctionCallInfo fcinfo, TimestampTz received_at, std::string_view token) {
    Datum values[] = {Datum{}, postgres::text_datum("quarantined"), TimestampTzGetDatum(received_at),
                      postgres::text_datum(token)};
    bool nulls[4] = {true, false, false, false};
    return postgres::row_of(fcinfo, values, nulls);
}

// P. The row of check_reading: verdict, sqlstate, reason, hint, event_id.
Datum row_of_verdict(FunctionCallInfo fcinfo, const char* verdict, int sqlstate, std::string_view reason, std::string_view hint,
                     std::int64_t event_id) {
    Datum values[] = {postgres::text_datum(verdict), postgres::text_datum(unpack_sql_state(sqlstate)),
                      postgres::text_datum(reason), postgres::text_datum(hint), Int64GetDatum(event_id)};
    bool nulls[] = {false, sqlstate == 0, reason.empty(), hint.empty(), event_id == 0};
    return postgres::row_of(fcinfo, values, nulls);
}

Datum row_of_refused(FunctionCallInfo fcinfo, const RefusedReading& refused) {
    const std::string reason = reason_of(refused);
    return postgres::guarded([fcinfo, &refused, view = std::string_view(reason)] {
        return row_of_verdict(fcinfo, verdict_of(refused), refused.sqlstate, view, refused.hint, refused.event_id.value);
    });
}

const char* verdict_of(const event_log::Candidate& foreseen) noexcept {
    if (foreseen.outcome == event_log::AppendOutcome::kDuplicate) return "duplicate";
    const auto& sent_at = foreseen.reading.measured_at;
    return sent_at && *sent_at != foreseen.measured_at ? "clamped" : "accepted";
}

Datum ingest_reading(FunctionCallInfo fcinfo, UuidArguments uuids) {
    Intake intake(Source::kReading, OnError::kRaise);
    return intake.counted([fcinfo, uuids, &intake] {
        const Door door("ingest_telemetry()");
        const Request request = postgres::guarded([fcinfo, uuids] { return request_of(fcinfo, uuids); });
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

}  // namespace
}  // namespace ingest

TELEMETRY_FUNCTION(telemetry_ingest_reading) {
    return ingest::ingest_reading(fcinfo, {false, false});
}

TELEMETRY_FUNCTION(telemetry_ingest_reading_of_uuid) {
    return ingest::ingest_reading(fcinfo, {true, false});
}

TELEMETRY_FUNCTION(telemetry_ingest_reading_with_uuid_key) {
    return ingest::ingest_reading(fcinfo, {false, true});
}

TELEMETRY_FUNCTION(telemetry_ingest_reading_of_uuid_with_uuid_key) {
    return ingest::ingest_reading(fcinfo, {true, true});
}

TELEMETRY_FUNCTION(telemetry_check_reading) {
    using namespace ingest;
    const postgres::ActingAs as_owner(runtime::hold_installed().owner);
    const Request request = postgres::guarded([fcinfo] { return request_of(fcinfo, {false, false}); });
    const Verdicts verdicts = foresee(request);
    if (!verdicts.refused.empty()) return row_of_refused(fcinfo, verdicts.refused.front());
    const event_log::Candidate& foreseen = verdicts.candidates.front();
    return postgres::guarded(
        [fcinfo, &foreseen] { return row_of_verdict(fcinfo, verdict_of(foreseen), 0, {}, {}, foreseen.event_id.value); });
}
