// SQL function read_events: returns the events of a batch as rows of the view telemetry.events.
#include <optional>
#include <string>
#include <string_view>

#include "error_codes.hpp"
#include "event_log/window_reader.hpp"
#include "feed/batch.hpp"
#include "feed/selected_events.hpp"
#include "model/event_json.hpp"
#include "postgres/entry_point.hpp"
#include "postgres/error.hpp"
#include "postgres/jsonb.hpp"
#include "postgres/sql_function.hpp"
#include "postgres/text.hpp"

#include "postgres/pg.hpp"

namespace query {
namespace {

using event_log::EventColumn;
using event_log::WindowScan;

// P. Writes members as the view does.
struct JsonbWriter {
    postgres::JsonbBuilder payload;

    void text(std::string_view member, std::string_view value) { postgres::add_text(payload, member, value); }
    void time(std::string_view member, model::Micros at) { postgres::add_time(payload, member, at); }
    void number(std::string_view member, double value) { postgres::add_double_as_shown(payload, member, value); }
    void metrics(std::string_view member, Datum metrics) {
        postgres::add_jsonb(payload, member, postgres::without_nulls(metrics));
    }
    void members(Datum details) { postgres::add_members(payload, postgres::without_nulls(details)); }
};

// P.
std::optional<std::string_view> text_of(const WindowScan& scan, EventColumn column) {
    if (event_log::is_null(scan, column)) return std::nullopt;
    return postgres::view_of(event_log::value_of(scan, column));
}

// P.
Jsonb* payload_of(const WindowScan& scan) {
    const model::EventFields fields{.device_id = text_of(scan, event_log::kDeviceId),
                                    .region = text_of(scan, event_log::kRegion),
                                    .measured_at = DatumGetTimestampTz(event_log::value_of(scan, event_log::kMeasuredAt)),
                                    .received_at = DatumGetTimestampTz(event_log::value_of(scan, event_log::kReceivedAt)),
                                    .temperature = number_of(scan, event_log::kTemperature),
                                    .humidity = number_of(scan, event_log::kHumidity),
                                    .idempotency_key = text_of(scan, event_log::kIdempotencyKey)};
    const Datum metrics = event_log::value_of(scan, event_log::kMetrics);
    const Datum* present_metrics = event_log::is_null(scan, event_log::kMetrics) ? nullptr : &metrics;
    JsonbWriter writer{};
    postgres::open_object(writer.payload);
    if (postgres::view_of(event_log::value_of(scan, event_log::kType)) == model::kTelemetryIngested)
        model::write_event_members(fields, present_metrics, writer);
    else
        model::write_other_event_members(fields, present_metrics, writer);
    return postgres::finish_object(writer.payload);
}

// The columns of telemetry.events are id, aggregatetype, aggregateid, type, version, payload, created_at, epoch. The script of
// version 1.0 installs a view without the last one.
constexpr int kFewestColumns = 7;

// P.
void put_event(ReturnSetInfo* result, const WindowScan& scan, Datum aggregate_type) {
    Datum values[] = {event_log::value_of(scan, event_log::kEventId),    aggregate_type,
                      event_log::value_of(scan, event_log::kDeviceId),   event_log::value_of(scan, event_log::kType),
                      event_log::value_of(scan, event_log::kVersion),    JsonbPGetDatum(payload_of(scan)),
                      event_log::value_of(scan, event_log::kReceivedAt), event_log::value_of(scan, event_log::kEpoch)};
    bool nulls[lengthof(values)] = {};
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

// P.
void put_events(FunctionCallInfo fcinfo, const event_log::ScanPlan& plan, model::BatchId batch) {
    InitMaterializedSRF(fcinfo, 0);
    auto* result = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
    if (result->setDesc->natts < kFewestColumns || result->setDesc->natts > kFewestColumns + 1)
        elog(ERROR, "telemetry.events has other columns than read_events returns");
    const Datum aggregate_type = postgres::text_datum("device");
    const MemoryContext event_context =
        AllocSetContextCreate(CurrentMemoryContext, "telemetry_cqrs event", ALLOCSET_DEFAULT_SIZES);
    WindowScan scan;
    event_log::open_window(scan, plan, postgres::callers_snapshot());
    const MemoryContext callers_context = MemoryContextSwitchTo(event_context);
    for (; scan.current != nullptr; event_log::advance(scan)) {
        CHECK_FOR_INTERRUPTS();
        if (!event_log::is_part_of_window(scan) || !feed::is_selected(batch, scan.current->event_id)) continue;
        put_event(result, scan, aggregate_type);
        MemoryContextReset(event_context);
    }
    MemoryContextSwitchTo(callers_context);
    event_log::close_window(scan);
    MemoryContextDelete(event_context);
}

}  // namespace
}  // namespace query

TELEMETRY_FUNCTION(telemetry_read_events) {
    const model::BatchId batch_id{PG_GETARG_INT64(0)};
    const auto batch = feed::find_batch(batch_id, postgres::guarded(postgres::callers_snapshot));
    if (!batch)
        throw postgres::Error(error_codes::kBatchNotFound, "there is no batch " + std::to_string(batch_id.value),
                              "It was merged with others because of its age, or is ahead of the log.",
                              "telemetry.follow_from() says which of the two. Events stay in telemetry.events.");
    const event_log::OwnedScanPlan plan(model::window_between(batch->from, batch->to), batch->epoch);
    postgres::guarded([&] { query::put_events(fcinfo, plan.view(), batch_id); });
    PG_RETURN_NULL();
}
