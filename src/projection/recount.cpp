// Reads the bucket by SQL, which finds the readings of one device and time by an index where there is one.
#include "projection/recount.hpp"

#include <algorithm>
#include <cmath>
#include <string_view>

#include "postgres/spi.hpp"
#include "postgres/text.hpp"

#include "postgres/pg.hpp"

namespace projection {
namespace {

enum ReadingColumn { kEpoch = 1, kXid, kEventId, kRegion, kMeasuredAt, kValue };

postgres::Statement select_readings{
    postgres::SqlCommand::kSelect,
    "SELECT e.epoch, e.xid, e.event_id, e.region, e.measured_at, "
    "CASE $4 WHEN 'temperature' THEN e.temperature WHEN 'humidity' THEN e.humidity ELSE (e.metrics ->> $4)::float8 END "
    "FROM telemetry.event e "
    "WHERE e.device_id = $1 AND e.measured_at >= $2 AND e.measured_at < $3 AND e.type = 'telemetry.ingested'",
    4,
    {TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID},
    nullptr};

bool takes_region(const read_model::Definition& definition, std::string_view region) noexcept {
    return !definition.regions ||
           std::find(definition.regions->begin(), definition.regions->end(), region) != definition.regions->end();
}

// P. Takes the values that the projection has consumed. Returns how many there are.
std::uint32_t take_points(const RecountSource& source, const postgres::StatementResult& readings, summary::Point* points) {
    std::uint32_t count = 0;
    for (std::uint64_t row = 0; row < readings.row_count; ++row) {
        bool has_no_region, has_no_value, is_null;
        const auto value_of = [&](int column, bool* null) { return postgres::value_of(readings, row, column, null); };
        const double value = DatumGetFloat8(value_of(kValue, &has_no_value));
        if (has_no_value || !std::isfinite(value)) continue;
        const model::Epoch epoch{DatumGetInt32(value_of(kEpoch, &is_null))};
        const model::Xid xid{U64FromFullTransactionId(DatumGetFullTransactionId(value_of(kXid, &is_null)))};
        const model::EventId event_id{DatumGetInt64(value_of(kEventId, &is_null))};
        const Datum region = value_of(kRegion, &has_no_region);
        if (!source.reach.covers(epoch, xid, event_id)) continue;
        if (!takes_region(source.definition, has_no_region ? std::string_view() : postgres::view_of(region))) continue;
        points[count++] = {value + 0.0, DatumGetTimestampTz(value_of(kMeasuredAt, &is_null))};
    }
    return count;
}

// P.
bool count_again(const void* context, std::string_view device, model::Micros bucket, std::string_view metric,
                 std::int64_t value_count, summary::Counter& counter) {
    const RecountSource& source = *static_cast<const RecountSource*>(context);
    Datum values[] = {postgres::text_datum(device), TimestampTzGetDatum(bucket),
                      TimestampTzGetDatum(bucket + source.definition.bucket_width), postgres::text_datum(metric)};
    const postgres::StatementScope statements = postgres::open_statements();
    const postgres::StatementResult readings = postgres::execute_kept(select_readings, values);
    auto* points = static_cast<summary::Point*>(
        MemoryContextAllocHuge(CurrentMemoryContext, sizeof(summary::Point) * (readings.row_count + 1)));
    const std::uint32_t count = take_points(source, readings, points);
    const bool is_complete = count == value_count;
    if (is_complete) counter = summary::counter_of({points, count});
    postgres::close_statements(statements);
    return is_complete;
}

}  // namespace

read_model::Recount recount_from(const RecountSource& source) noexcept {
    return {count_again, &source};
}

}  // namespace projection
