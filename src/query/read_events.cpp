// SQL function read_events: the events of a batch, in the shape of the view telemetry.events.
#include <string>

#include "error_codes.hpp"
#include "event_log/batch.hpp"
#include "event_log/window_reader.hpp"
#include "postgres/entry_point.hpp"
#include "postgres/error.hpp"
#include "postgres/text.hpp"

#include "postgres/pg.hpp"

namespace query {
namespace {

using event_log::EventColumn;
using event_log::WindowScan;

// What follows is written wholly in P.

void push_key(JsonbParseState** state, const char* name) {
    JsonbValue key;
    key.type = jbvString;
    key.val.string.val = const_cast<char*>(name);
    key.val.string.len = static_cast<int>(strlen(name));
    pushJsonbValue(state, WJB_KEY, &key);
}

void push_string(JsonbParseState** state, const char* name, char* value, int length) {
    push_key(state, name);
    JsonbValue string;
    string.type = jbvString;
    string.val.string.val = value;
    string.val.string.len = length;
    pushJsonbValue(state, WJB_VALUE, &string);
}

void push_text(JsonbParseState** state, const char* name, const WindowScan& scan, EventColumn column) {
    if (event_log::is_null(scan, column)) return;
    const std::string_view value = postgres::view_of(event_log::value_of(scan, column));
    push_string(state, name, const_cast<char*>(value.data()), static_cast<int>(value.size()));
}

void push_time(JsonbParseState** state, const char* name, const WindowScan& scan, EventColumn column) {
    char* value = JsonEncodeDateTime(nullptr, event_log::value_of(scan, column), TIMESTAMPTZOID, nullptr);
    push_string(state, name, value, static_cast<int>(strlen(value)));
}

// As jsonb_build_object does it: by way of the number's text.
void push_number(JsonbParseState** state, const char* name, const WindowScan& scan, EventColumn column) {
    if (event_log::is_null(scan, column)) return;
    char* digits = float8out_internal(DatumGetFloat8(event_log::value_of(scan, column)));
    const Datum number =
        DirectFunctionCall3(numeric_in, CStringGetDatum(digits), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
    push_key(state, name);
    JsonbValue value;
    value.type = jbvNumeric;
    value.val.numeric = DatumGetNumeric(number);
    pushJsonbValue(state, WJB_VALUE, &value);
}

void push_metrics(JsonbParseState** state, const WindowScan& scan) {
    if (event_log::is_null(scan, event_log::kMetrics)) return;
    Jsonb* metrics = DatumGetJsonbP(DirectFunctionCall1(jsonb_strip_nulls, event_log::value_of(scan, event_log::kMetrics)));
    push_key(state, "metrics");
    JsonbValue value;
    value.type = jbvBinary;
    value.val.binary.data = &metrics->root;
    value.val.binary.len = static_cast<int>(VARSIZE(metrics)) - VARHDRSZ;
    pushJsonbValue(state, WJB_VALUE, &value);
}

Jsonb* payload_of(const WindowScan& scan) {
    JsonbParseState* state = nullptr;
    pushJsonbValue(&state, WJB_BEGIN_OBJECT, nullptr);
    push_text(&state, "device_id", scan, event_log::kDeviceId);
    push_text(&state, "region", scan, event_log::kRegion);
    push_time(&state, "measured_at", scan, event_log::kMeasuredAt);
    push_time(&state, "received_at", scan, event_log::kReceivedAt);
    push_number(&state, "temperature", scan, event_log::kTemperature);
    push_number(&state, "humidity", scan, event_log::kHumidity);
    push_metrics(&state, scan);
    push_text(&state, "idempotency_key", scan, event_log::kIdempotencyKey);
    return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, nullptr));
}

// Columns of telemetry.events: id, aggregatetype, aggregateid, type, version, payload, created_at, epoch. The last one is not
// there as long as the script of version 1.0 is installed.
constexpr int kFewestColumns = 7;

void put_event(ReturnSetInfo* result, const WindowScan& scan, Datum aggregate_type) {
    Datum values[] = {event_log::value_of(scan, event_log::kEventId),    aggregate_type,
                      event_log::value_of(scan, event_log::kDeviceId),   event_log::value_of(scan, event_log::kType),
                      event_log::value_of(scan, event_log::kVersion),    JsonbPGetDatum(payload_of(scan)),
                      event_log::value_of(scan, event_log::kReceivedAt), event_log::value_of(scan, event_log::kEpoch)};
    bool nulls[lengthof(values)] = {};
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

void put_events(FunctionCallInfo fcinfo, const event_log::ScanPlan& plan) {
    InitMaterializedSRF(fcinfo, 0);
    auto* result = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
    if (result->setDesc->natts < kFewestColumns || result->setDesc->natts > kFewestColumns + 1)
        elog(ERROR, "telemetry.events has other columns than read_events returns");
    const Datum aggregate_type = postgres::text_datum("device");
    const MemoryContext row = AllocSetContextCreate(CurrentMemoryContext, "telemetry_cqrs event", ALLOCSET_DEFAULT_SIZES);
    WindowScan scan;
    event_log::open_window(scan, plan, GetActiveSnapshot());
    const MemoryContext caller = MemoryContextSwitchTo(row);
    for (; scan.current != nullptr; event_log::advance(scan)) {
        CHECK_FOR_INTERRUPTS();
        if (!event_log::is_part_of_window(scan)) continue;
        put_event(result, scan, aggregate_type);
        MemoryContextReset(row);
    }
    MemoryContextSwitchTo(caller);
    event_log::close_window(scan);
    MemoryContextDelete(row);
}

}  // namespace
}  // namespace query

TELEMETRY_FUNCTION(telemetry_read_events) {
    const model::BatchId batch_id{PG_GETARG_INT64(0)};
    const auto batch = event_log::find_batch(batch_id, GetActiveSnapshot());
    if (!batch)
        throw postgres::Error(
            error_codes::kBatchNotFound, "there is no batch " + std::to_string(batch_id.value), {},
            "telemetry.follow_from() says whether it was deleted, or is ahead of the log. Events stay in telemetry.events.");
    const event_log::Plan plan(model::window_between(batch->from, batch->to), batch->epoch);
    postgres::guarded([&] { query::put_events(fcinfo, plan.native()); });
    PG_RETURN_NULL();
}
