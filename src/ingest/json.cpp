// SQL function ingest_telemetry_batch with one argument of type json, jsonb or text: the door for JSON.
#include <string_view>

#include "ingest/batch_options.hpp"
#include "ingest/door.hpp"
#include "ingest/intake.hpp"
#include "ingest/json_requests.hpp"
#include "ingest/receipt.hpp"
#include "model/name_text.hpp"
#include "postgres/entry_point.hpp"
#include "postgres/jsonb.hpp"
#include "postgres/sql_function.hpp"

#include "postgres/pg.hpp"

namespace ingest {
namespace {

enum { kReadings, kOnErrorOption, kTimeUnit };

// A literal such as {a,b} has no type, and the server takes it for a text of JSON. Some drivers turn a list of objects into
// such a literal, {"{...}","{...}"}. Error(TC010) says what to send instead.
void refuse_array_literal(std::string_view sent) {
    if (!sent.starts_with('{') || sent.size() <= 2) return;
    const bool has_objects = sent.starts_with("{\"{");
    if (!has_objects && sent.find_first_of("\":") != sent.npos) return;
    refuse_batch("readings is " + model::quoted_for_message(sent) + ", an array of the server and no JSON.",
                 has_objects ? "Send one JSON text: in JavaScript, JSON.stringify(readings)."
                             : "For a call with arrays, give device_ids its type, as in '{...}'::text[].");
}

// `text_of(argument)` gives the JSON text.
template <typename TextOf>
Datum ingest_json(FunctionCallInfo fcinfo, TextOf text_of) {
    Intake intake(Source::kJson, OnError::kCollect);
    return intake.counted([&] {
        const Door door("ingest_telemetry_batch()");
        if (PG_ARGISNULL(kReadings)) refuse_batch("readings is NULL.", "Send an array, an empty one for no readings.");
        intake.set_on_error(on_error_of(fcinfo, kOnErrorOption));
        const model::TimeUnit time_unit = time_unit_of(fcinfo, kTimeUnit);
        const std::string_view sent = text_of();
        refuse_array_literal(sent);
        const JsonRequests json(sent, time_unit);
        if (json.refusal()) raise(refuse_reading(0, *json.refusal()), 0, false);
        intake.take(json.requests());
        return batch_receipt(fcinfo, intake.totals(), intake.token());
    });
}

}  // namespace
}  // namespace ingest

// Of type json or text: both hold the text as it was sent.
TELEMETRY_FUNCTION(telemetry_ingest_json) {
    return ingest::ingest_json(fcinfo, [fcinfo] { return postgres::text_argument(fcinfo, 0); });
}

TELEMETRY_FUNCTION(telemetry_ingest_jsonb) {
    return ingest::ingest_json(fcinfo, [fcinfo] {
        return std::string_view(postgres::guarded([fcinfo] { return postgres::printed(PG_GETARG_JSONB_P(0)); }));
    });
}
