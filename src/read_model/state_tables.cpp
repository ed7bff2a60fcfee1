// Merges deltas into rows.
#include "read_model/state_tables.hpp"

#include <algorithm>

#include "error_codes.hpp"
#include "postgres/error.hpp"
#include "postgres/keyed_table.hpp"
#include "postgres/memory.hpp"
#include "postgres/text.hpp"
#include "summary/stored_summary.hpp"

#include "postgres/pg.hpp"

namespace read_model {
namespace {

enum GroupColumn {
    kKey,
    kSampleCount,
    kFirstSeen,
    kLastSeen,
    kLastReceivedAt,
    kTemperature,
    kHumidity,
    kRegion  // of a device only
};
enum MetricColumn { kMetricKey, kMetric, kSummary };

constexpr std::size_t kRowsBetweenResets = 256;

// P.
std::string_view found_text(const postgres::KeyedTable& table, int column) {
    if (table.found->tts_isnull[column]) return {};
    return postgres::view_of(table.found->tts_values[column]);
}

// P.
std::int64_t found_integer(const postgres::KeyedTable& table, int column) {
    return DatumGetInt64(table.found->tts_values[column]);
}

// P. Returns the stored statistics, or empty ones where the summary is NULL. A sketch is left out, because deltas have none.
summary::Statistics found_statistics(const postgres::KeyedTable& table, int column) {
    if (table.found->tts_isnull[column]) return {};
    const summary::FoundSummary found = summary::find_summary(table.found->tts_values[column]);
    if (!found.is_known)
        ereport(ERROR, (errcode(error_codes::kCorruptSummary),
                        errmsg("corrupt summary in table \"%s\"", RelationGetRelationName(table.relation)),
                        errdetail("%s", summary::kCorruptSummaryDetail), errhint("%s", summary::kCorruptSummaryHint)));
    return found.statistics;
}

// P.
void set_summary(postgres::KeyedTable& table, int column, summary::StoredStatistics& buffer,
                 const summary::Statistics& statistics) {
    if (statistics.count == 0) return postgres::set_null(table, column);
    summary::store(buffer, statistics);
    postgres::set_value(table, column, PointerGetDatum(&buffer));
}

// P.
std::int64_t sum_of(std::int64_t a, std::int64_t b) {
    std::int64_t sum;
    if (pg_add_s64_overflow(a, b, &sum))
        ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE), errmsg("sample count out of range")));
    return sum;
}

// P. Merges the found row into `total`, which is the delta at first.
void merge_found(const postgres::KeyedTable& table, bool has_region, GroupDelta& total) {
    total.sample_count = sum_of(found_integer(table, kSampleCount), total.sample_count);
    summary::Statistics temperature = found_statistics(table, kTemperature);
    summary::merge(temperature, total.temperature);
    total.temperature = temperature;
    summary::Statistics humidity = found_statistics(table, kHumidity);
    summary::merge(humidity, total.humidity);
    total.humidity = humidity;
    total.first_seen = Min(found_integer(table, kFirstSeen), total.first_seen);
    total.last_received_at = Max(found_integer(table, kLastReceivedAt), total.last_received_at);
    const TimestampTz last_seen = found_integer(table, kLastSeen);
    if (has_region &&
        (last_seen > total.last_seen || (last_seen == total.last_seen && found_text(table, kRegion) > total.region)))
        total.region = found_text(table, kRegion);
    total.last_seen = Max(last_seen, total.last_seen);
}

struct GroupWriter {
    postgres::KeyedTable table;
    bool has_region;
    postgres::ReusedText key_buffer, region_buffer;
    summary::StoredStatistics temperature_buffer, humidity_buffer;
};

// P.
void add_group(GroupWriter& writer, const GroupDelta& delta) {
    postgres::KeyedTable& table = writer.table;
    const Datum key = postgres::text_datum(writer.key_buffer, delta.key);
    GroupDelta total = delta;
    const bool is_found = postgres::find_row(table, &key);
    if (is_found) {
        merge_found(table, writer.has_region, total);
        postgres::copy_found_row(table);
    } else {
        postgres::start_row(table);
        postgres::set_value(table, kKey, key);
    }
    postgres::set_value(table, kSampleCount, Int64GetDatum(total.sample_count));
    postgres::set_value(table, kFirstSeen, TimestampTzGetDatum(total.first_seen));
    postgres::set_value(table, kLastSeen, TimestampTzGetDatum(total.last_seen));
    postgres::set_value(table, kLastReceivedAt, TimestampTzGetDatum(total.last_received_at));
    set_summary(table, kTemperature, writer.temperature_buffer, total.temperature);
    set_summary(table, kHumidity, writer.humidity_buffer, total.humidity);
    if (writer.has_region && total.region.empty()) postgres::set_null(table, kRegion);
    if (writer.has_region && !total.region.empty())
        postgres::set_value(table, kRegion, postgres::text_datum(writer.region_buffer, total.region));
    if (is_found)
        postgres::update_row(table);
    else
        postgres::insert_row(table);
}

struct MetricWriter {
    postgres::KeyedTable table;
    postgres::ReusedText key_buffer, metric_buffer;
    summary::StoredStatistics summary_buffer;
};

// P.
void add_metric(MetricWriter& writer, const MetricDelta& delta) {
    postgres::KeyedTable& table = writer.table;
    const Datum key[] = {postgres::text_datum(writer.key_buffer, delta.key),
                         postgres::text_datum(writer.metric_buffer, delta.metric)};
    summary::Statistics total = delta.summary;
    const bool is_found = postgres::find_row(table, key);
    if (is_found) {
        total = found_statistics(table, kSummary);
        summary::merge(total, delta.summary);
        postgres::copy_found_row(table);
    } else {
        postgres::start_row(table);
        postgres::set_value(table, kMetricKey, key[0]);
        postgres::set_value(table, kMetric, key[1]);
    }
    set_summary(table, kSummary, writer.summary_buffer, total);
    if (is_found)
        postgres::update_row(table);
    else
        postgres::insert_row(table);
}

// P. Calls add(writer, *delta) for each delta. The current memory context is `rows` meanwhile, which is emptied now and then.
template <typename Writer, typename Delta>
void add_all(Writer& writer, void (*add)(Writer&, const Delta&), const Delta* const* deltas, std::size_t count,
             MemoryContext rows) {
    const MemoryContext caller = MemoryContextSwitchTo(rows);
    for (std::size_t i = 0; i < count; ++i) {
        if (i % kRowsBetweenResets == 0) {
            CHECK_FOR_INTERRUPTS();
            MemoryContextReset(rows);
        }
        add(writer, *deltas[i]);
    }
    MemoryContextSwitchTo(caller);
}

}  // namespace

void add_groups(const GroupTable& kind, std::span<const GroupDelta* const> deltas, ::Snapshot snapshot) {
    if (deltas.empty()) return;
    const postgres::ScopedMemory memory("telemetry_cqrs groups");
    const postgres::ScopedMemory rows("telemetry_cqrs row");
    postgres::guarded([&kind, deltas, snapshot, &memory, &rows] {
        const MemoryContext caller = MemoryContextSwitchTo(memory.get());
        GroupWriter writer{};
        writer.has_region = kind.has_region;
        writer.key_buffer.memory = writer.region_buffer.memory = memory.get();
        postgres::open_table(writer.table, kind.table, snapshot);
        add_all(writer, add_group, deltas.data(), deltas.size(), rows.get());
        postgres::close_table(writer.table);
        MemoryContextSwitchTo(caller);
    });
}

void add_metrics(const postgres::OwnTable& own, std::span<const MetricDelta* const> deltas, ::Snapshot snapshot) {
    if (deltas.empty()) return;
    const postgres::ScopedMemory memory("telemetry_cqrs metrics");
    const postgres::ScopedMemory rows("telemetry_cqrs row");
    postgres::guarded([&own, deltas, snapshot, &memory, &rows] {
        const MemoryContext caller = MemoryContextSwitchTo(memory.get());
        MetricWriter writer{};
        writer.key_buffer.memory = writer.metric_buffer.memory = memory.get();
        postgres::open_table(writer.table, own, snapshot);
        add_all(writer, add_metric, deltas.data(), deltas.size(), rows.get());
        postgres::close_table(writer.table);
        MemoryContextSwitchTo(caller);
    });
}

}  // namespace read_model
