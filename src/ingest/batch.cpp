// ingest_telemetry_batch(arrays): the door for many readings.
#include <algorithm>
#include <string>

#include "error_codes.hpp"
#include "ingest/command.hpp"
#include "ingest/door.hpp"
#include "ingest/quarantine.hpp"
#include "ingest/receipt.hpp"
#include "postgres/entry_point.hpp"
#include "postgres/sql_function.hpp"
#include "postgres/text.hpp"
#include "runtime/settings.hpp"

#include "postgres/pg.hpp"

namespace ingest {
namespace {

// One argument: an array taken apart, or nothing where the argument is NULL.
struct Column {
    Datum* values;
    bool* isnull;
    int count;  // -1: the argument is NULL
    int dimensions;

    bool has(int i) const noexcept { return count >= 0 && !isnull[i]; }
};

struct ElementType {
    Oid type;
    int16 length;
    bool by_value;
    char alignment;
};

constexpr ElementType kText{TEXTOID, -1, false, TYPALIGN_INT};
constexpr ElementType kTime{TIMESTAMPTZOID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE};
constexpr ElementType kDouble{FLOAT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE};
constexpr ElementType kJsonb{JSONBOID, -1, false, TYPALIGN_INT};

constexpr int kColumns = 7;
constexpr const char* kNames[kColumns] = {"device_ids",       "measured_ats", "temperatures", "humidities",
                                          "idempotency_keys", "metrics",      "regions"};
constexpr ElementType kTypes[kColumns] = {kText, kTime, kDouble, kDouble, kText, kJsonb, kText};
enum { kDeviceIds, kMeasuredAts, kTemperatures, kHumidities, kIdempotencyKeys, kMetrics, kRegions, kOnError };

struct Columns {
    Column of[kColumns];
};

// P. Of an argument that is not NULL, without taking the array apart or bringing it in from a TOAST table.
int elements_of(Datum array) {
    if (VARATT_IS_EXTERNAL_EXPANDED(DatumGetPointer(array))) {
        AnyArrayType* expanded = DatumGetAnyArrayP(array);
        return ArrayGetNItems(AARR_NDIM(expanded), AARR_DIMS(expanded));
    }
    constexpr int kHeaderSize = sizeof(ArrayType) - VARHDRSZ + MAXDIM * sizeof(int);
    auto* head = reinterpret_cast<ArrayType*>(PG_DETOAST_DATUM_SLICE(array, 0, kHeaderSize));
    return ArrayGetNItems(ARR_NDIM(head), ARR_DIMS(head));
}

struct Lengths {
    int of[kColumns];  // 0 where the argument is NULL
};

Lengths lengths_of(FunctionCallInfo fcinfo) {
    return postgres::guarded([fcinfo] {
        Lengths lengths;
        for (int i = 0; i < kColumns; ++i) lengths.of[i] = PG_ARGISNULL(i) ? 0 : elements_of(PG_GETARG_DATUM(i));
        return lengths;
    });
}

Column take_apart(FunctionCallInfo fcinfo, int number) {
    Column column{nullptr, nullptr, -1, 0};
    if (PG_ARGISNULL(number)) return column;
    ArrayType* array = PG_GETARG_ARRAYTYPE_P(number);
    const ElementType& type = kTypes[number];
    column.dimensions = ARR_NDIM(array);
    deconstruct_array(array, type.type, type.length, type.by_value, type.alignment, &column.values, &column.isnull,
                      &column.count);
    return column;
}

[[noreturn]] void refuse_batch(std::string detail, std::string hint) {
    raise(refuse_reading(0, {error_codes::kInvalidBatch, "the batch is malformed", std::move(detail), std::move(hint)}), false);
}

void refuse_too_large(FunctionCallInfo fcinfo) {
    const Lengths lengths = lengths_of(fcinfo);
    const int most = runtime::settings().max_batch_readings;
    for (int i = 0; i < kColumns; ++i)
        if (lengths.of[i] > most)
            raise(refuse_reading(0, {error_codes::kBatchTooLarge, "the batch is too large",
                                     std::string(kNames[i]) + " has " + std::to_string(lengths.of[i]) +
                                         " elements; telemetry_cqrs.max_batch_readings is " + std::to_string(most) + ".",
                                     "Send it in parts, or raise telemetry_cqrs.max_batch_readings."}),
                  false);
}

int length_of(const Columns& columns) {
    const Column& ids = columns.of[kDeviceIds];
    if (ids.count < 0) refuse_batch("device_ids is NULL.", "Send an array, an empty one for no readings.");
    for (int i = 0; i < kColumns; ++i) {
        const Column& column = columns.of[i];
        if (column.dimensions > 1)
            refuse_batch(std::string(kNames[i]) + " has " + std::to_string(column.dimensions) + " dimensions.",
                         "Send one-dimensional arrays.");
        if (column.count >= 0 && column.count != ids.count)
            refuse_batch(std::string(kNames[i]) + " has " + std::to_string(column.count) + " elements, device_ids has " +
                             std::to_string(ids.count) + ".",
                         "Send arrays of one length, NULL elements for what a reading lacks, or NULL for a whole column.");
    }
    return ids.count;
}

OnError on_error_of(FunctionCallInfo fcinfo) {
    const std::string_view option = PG_ARGISNULL(kOnError) ? std::string_view() : postgres::text_argument(fcinfo, kOnError);
    if (option == "quarantine") return OnError::kCollect;
    if (option == "abort") return OnError::kRaise;
    refuse_batch("on_error is " + model::quoted_for_message(option) + ".", "Use 'quarantine' or 'abort'.");
}

text* text_at(const Column& column, int i) {
    return column.has(i) ? postgres::text_of(column.values[i]) : nullptr;
}

// P. Rows out of columns.
Request* requests_of(const Columns& columns, int count) {
    auto* requests =
        static_cast<Request*>(palloc_extended(sizeof(Request) * std::max(count, 1), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO));
    for (int i = 0; i < count; ++i) {
        Request& request = requests[i];
        request.device_id = text_at(columns.of[kDeviceIds], i);
        request.has_measured_at = columns.of[kMeasuredAts].has(i);
        if (request.has_measured_at) request.measured_at = DatumGetTimestampTz(columns.of[kMeasuredAts].values[i]);
        request.has_temperature = columns.of[kTemperatures].has(i);
        if (request.has_temperature) request.temperature = DatumGetFloat8(columns.of[kTemperatures].values[i]);
        request.has_humidity = columns.of[kHumidities].has(i);
        if (request.has_humidity) request.humidity = DatumGetFloat8(columns.of[kHumidities].values[i]);
        request.idempotency_key = text_at(columns.of[kIdempotencyKeys], i);
        if (columns.of[kMetrics].has(i)) request.metrics = DatumGetJsonbP(columns.of[kMetrics].values[i]);
        request.region = text_at(columns.of[kRegions], i);
    }
    return requests;
}

struct Span {
    std::int64_t first = 0, last = 0;
};

Span accepted_span(const Verdicts& verdicts) {
    Span span;
    for (const event_log::Candidate& each : verdicts.candidates) {
        if (each.outcome != event_log::AppendOutcome::kAccepted) continue;
        span.first = span.first == 0 ? each.event_id.value : std::min(span.first, each.event_id.value);
        span.last = std::max(span.last, each.event_id.value);
    }
    return span;
}

// P.
Datum receipt_of(FunctionCallInfo fcinfo, const Verdicts& verdicts, Span span) {
    Datum values[] = {Int32GetDatum(verdicts.received),   Int32GetDatum(verdicts.accepted),
                      Int32GetDatum(verdicts.duplicates), Int32GetDatum(verdicts.conflicts),
                      Int32GetDatum(verdicts.rejected),   Int64GetDatum(span.first),
                      Int64GetDatum(span.last),           token_of(verdicts.stamp.opened.epoch, verdicts.xid)};
    bool isnull[8] = {};
    isnull[5] = isnull[6] = verdicts.accepted == 0;
    return HeapTupleGetDatum(heap_form_tuple(result_row_type(fcinfo), values, isnull));
}

}  // namespace
}  // namespace ingest

TELEMETRY_FUNCTION(telemetry_ingest_batch) {
    using namespace ingest;
    return counted(true, [fcinfo](Tally& tally) {
        const Door door("ingest_telemetry_batch()");
        refuse_too_large(fcinfo);
        const OnError on_error = on_error_of(fcinfo);
        const Columns columns = postgres::guarded([fcinfo] {
            Columns taken;
            for (int i = 0; i < kColumns; ++i) taken.of[i] = take_apart(fcinfo, i);
            return taken;
        });
        const int count = length_of(columns);
        const Request* requests = postgres::guarded([&] { return requests_of(columns, count); });
        const Verdicts verdicts = handle(requests, static_cast<std::uint32_t>(count), on_error, true, tally);
        quarantine(verdicts, requests, fcinfo->flinfo);
        return postgres::guarded([&, span = accepted_span(verdicts)] { return receipt_of(fcinfo, verdicts, span); });
    });
}
