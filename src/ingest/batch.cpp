// SQL function ingest_telemetry_batch: the door for many readings.
#include <algorithm>
#include <new>
#include <optional>
#include <string>

#include "error_codes.hpp"
#include "ingest/door.hpp"
#include "ingest/intake.hpp"
#include "ingest/receipt.hpp"
#include "postgres/entry_point.hpp"
#include "postgres/sql_function.hpp"
#include "postgres/text.hpp"
#include "runtime/settings.hpp"

#include "postgres/pg.hpp"

namespace ingest {
namespace {

// An array argument, taken apart.
struct ArrayArgument {
    Datum* values;
    bool* nulls;
    int count;  // -1: the argument is NULL
    int dimensions;

    bool has(int i) const noexcept { return count >= 0 && !nulls[i]; }
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

constexpr int kArrayCount = 7;
constexpr const char* kArgumentNames[kArrayCount] = {"device_ids",       "measured_ats", "temperatures", "humidities",
                                                     "idempotency_keys", "metrics",      "regions"};
constexpr ElementType kElementTypes[kArrayCount] = {kText, kTime, kDouble, kDouble, kText, kJsonb, kText};
enum { kDeviceIds, kMeasuredAts, kTemperatures, kHumidities, kIdempotencyKeys, kMetrics, kRegions, kOnError };

struct ArrayArguments {
    ArrayArgument of[kArrayCount];
};

// P. Counts the elements of an array without taking it apart. Of an array in a TOAST table it fetches the head only.
int elements_of(Datum array) {
    if (VARATT_IS_EXTERNAL_EXPANDED(DatumGetPointer(array))) {
        AnyArrayType* expanded = DatumGetAnyArrayP(array);
        return ArrayGetNItems(AARR_NDIM(expanded), AARR_DIMS(expanded));
    }
    constexpr int kHeaderSize = sizeof(ArrayType) - VARHDRSZ + MAXDIM * sizeof(int);
    auto* head = reinterpret_cast<ArrayType*>(PG_DETOAST_DATUM_SLICE(array, 0, kHeaderSize));
    return ArrayGetNItems(ARR_NDIM(head), ARR_DIMS(head));
}

struct ArrayLengths {
    int of[kArrayCount];  // 0 where the argument is NULL
};

ArrayLengths lengths_of(FunctionCallInfo fcinfo) {
    return postgres::guarded([fcinfo] {
        ArrayLengths lengths;
        for (int i = 0; i < kArrayCount; ++i) lengths.of[i] = PG_ARGISNULL(i) ? 0 : elements_of(PG_GETARG_DATUM(i));
        return lengths;
    });
}

ArrayArgument take_apart(FunctionCallInfo fcinfo, int number) {
    ArrayArgument argument{nullptr, nullptr, -1, 0};
    if (PG_ARGISNULL(number)) return argument;
    ArrayType* array = PG_GETARG_ARRAYTYPE_P(number);
    const ElementType& type = kElementTypes[number];
    argument.dimensions = ARR_NDIM(array);
    deconstruct_array(array, type.type, type.length, type.by_value, type.alignment, &argument.values, &argument.nulls,
                      &argument.count);
    return argument;
}

[[noreturn]] void refuse_batch(std::string detail, std::string hint) {
    raise(refuse_reading(0, {error_codes::kInvalidBatch, "the call is malformed", std::move(detail), std::move(hint)}), 0,
          false);
}

void refuse_too_large(FunctionCallInfo fcinfo) {
    const ArrayLengths lengths = lengths_of(fcinfo);
    const int max_readings = runtime::settings().max_batch_readings;
    for (int i = 0; i < kArrayCount; ++i)
        if (lengths.of[i] > max_readings)
            raise(
                refuse_reading(0, {error_codes::kBatchTooLarge, "the call has too many readings",
                                   std::string(kArgumentNames[i]) + " has " + std::to_string(lengths.of[i]) +
                                       " elements; telemetry_cqrs.max_batch_readings is " + std::to_string(max_readings) + ".",
                                   "Send it in parts, or raise telemetry_cqrs.max_batch_readings."}),
                0, false);
}

int length_of(const ArrayArguments& arrays) {
    const ArrayArgument& ids = arrays.of[kDeviceIds];
    if (ids.count < 0) refuse_batch("device_ids is NULL.", "Send an array, an empty one for no readings.");
    for (int i = 0; i < kArrayCount; ++i) {
        const ArrayArgument& array = arrays.of[i];
        if (array.dimensions > 1)
            refuse_batch(std::string(kArgumentNames[i]) + " has " + std::to_string(array.dimensions) + " dimensions.",
                         "Send one-dimensional arrays.");
        if (array.count >= 0 && array.count != ids.count)
            refuse_batch(std::string(kArgumentNames[i]) + " has " + std::to_string(array.count) + " elements, device_ids has " +
                             std::to_string(ids.count) + ".",
                         "Send arrays of one length, NULL elements for what a reading lacks, or NULL for a whole column.");
    }
    return ids.count;
}

OnError on_error_of(FunctionCallInfo fcinfo) {
    if (PG_ARGISNULL(kOnError))
        refuse_batch("on_error is NULL.", "Use 'quarantine' or 'abort', or leave it out, which means 'quarantine'.");
    const std::string_view option = postgres::text_argument(fcinfo, kOnError);
    if (option == "quarantine") return OnError::kCollect;
    if (option == "abort") return OnError::kRaise;
    refuse_batch("on_error is " + model::quoted_for_message(option) + ".", "Use 'quarantine' or 'abort'.");
}

std::optional<std::string_view> text_at(const ArrayArgument& array, int i) {
    if (!array.has(i)) return std::nullopt;
    return postgres::view_of(array.values[i]);
}

// P. Turns the columns, which are of one length, into rows.
Request* requests_of(const ArrayArguments& arrays, int count) {
    auto* requests =
        static_cast<Request*>(palloc_extended(sizeof(Request) * static_cast<Size>(std::max(count, 1)), MCXT_ALLOC_HUGE));
    for (int i = 0; i < count; ++i) {
        Request& request = *new (requests + i) Request{};
        model::Reading& reading = request.reading;
        request.has_device_id = arrays.of[kDeviceIds].has(i);
        if (request.has_device_id) reading.device_id = postgres::view_of(arrays.of[kDeviceIds].values[i]);
        if (arrays.of[kMeasuredAts].has(i)) reading.measured_at = DatumGetTimestampTz(arrays.of[kMeasuredAts].values[i]);
        if (arrays.of[kTemperatures].has(i)) reading.temperature = DatumGetFloat8(arrays.of[kTemperatures].values[i]);
        if (arrays.of[kHumidities].has(i)) reading.humidity = DatumGetFloat8(arrays.of[kHumidities].values[i]);
        reading.idempotency_key = text_at(arrays.of[kIdempotencyKeys], i);
        set_metrics(request, arrays.of[kMetrics].has(i) ? DatumGetJsonbP(arrays.of[kMetrics].values[i]) : nullptr);
        reading.region = text_at(arrays.of[kRegions], i);
    }
    return requests;
}

}  // namespace
}  // namespace ingest

TELEMETRY_FUNCTION(telemetry_ingest_batch) {
    using namespace ingest;
    Intake intake(Source::kArrays, OnError::kCollect);
    return intake.counted([fcinfo, &intake] {
        const Door door("ingest_telemetry_batch()");
        refuse_too_large(fcinfo);
        intake.set_on_error(on_error_of(fcinfo));
        const ArrayArguments arrays = postgres::guarded([fcinfo] {
            ArrayArguments taken;
            for (int i = 0; i < kArrayCount; ++i) taken.of[i] = take_apart(fcinfo, i);
            return taken;
        });
        const int count = length_of(arrays);
        const Request* requests = postgres::guarded([&] { return requests_of(arrays, count); });
        intake.take({requests, static_cast<std::size_t>(count)});
        return batch_receipt(fcinfo, intake);
    });
}
