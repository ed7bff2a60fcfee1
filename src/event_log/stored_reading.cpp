// Copies what can differ between two requests of one identity. This file is written wholly in P.
#include "event_log/stored_reading.hpp"

#include "event_log/event_columns.hpp"
#include "event_log/metrics.hpp"
#include "postgres/text.hpp"

#include "postgres/pg.hpp"

namespace event_log {
namespace {

std::optional<double> number_in(const TupleTableSlot* row, EventColumn column) {
    if (row->tts_isnull[column]) return std::nullopt;
    return DatumGetFloat8(row->tts_values[column]);
}

}  // namespace

const model::StoredReading* copied_reading(TupleTableSlot* row) {
    slot_getallattrs(row);
    const Datum* value = row->tts_values;
    auto* reading = static_cast<model::StoredReading*>(palloc(sizeof(model::StoredReading)));
    *reading = {};
    reading->measured_at = DatumGetTimestampTz(value[kMeasuredAt]);
    reading->received_at = DatumGetTimestampTz(value[kReceivedAt]);
    reading->temperature = number_in(row, kTemperature);
    reading->humidity = number_in(row, kHumidity);
    if (!row->tts_isnull[kRegion]) reading->region = postgres::view_of(postgres::copied_text(value[kRegion]));
    const Metrics metrics = read_metrics(row->tts_isnull[kMetrics] ? nullptr : DatumGetJsonbPCopy(value[kMetrics]));
    reading->metrics = {metrics.items, static_cast<std::size_t>(metrics.count)};
    return reading;
}

}  // namespace event_log
