// Finds the rows of a device natively, and renders them outside of the server's world.
#include "read_model/device_reports.hpp"

#include <optional>

#include "model/identifiers.hpp"
#include "model/json_text.hpp"
#include "postgres/catalog.hpp"
#include "postgres/encoding.hpp"
#include "postgres/error.hpp"
#include "postgres/key_lookup.hpp"
#include "postgres/memory.hpp"
#include "postgres/text.hpp"
#include "read_model/delta.hpp"
#include "read_model/delta_rows.hpp"
#include "read_model/state_columns.hpp"
#include "summary/stored_summary.hpp"

#include "postgres/pg.hpp"

namespace read_model {
namespace {

constexpr const char* kDeviceTable = "state_device";

// A row, taken apart. The texts live as long as the row that was found.
struct DeviceRow {
    bool is_found;
    std::int64_t sample_count;
    model::Micros first_seen, last_seen, last_received_at;
    bool has_region;
    std::string_view region;
    int metric_count;  // kFixedMetrics at least
    std::string_view names[kMetricsInRow];
    summary::Statistics statistics[kMetricsInRow];  // count 0: there is none
};

// P.
int take_apart(const TupleTableSlot* row, int column, Oid type, char alignment, Datum*& values, bool*& nulls) {
    if (row->tts_isnull[column]) return 0;
    int count = 0;
    deconstruct_array(DatumGetArrayTypeP(row->tts_values[column]), type, -1, false, alignment, &values, &nulls, &count);
    return Min(count, kMetricsInRow);
}

// P.
void read_metrics(const TupleTableSlot* row, DeviceRow& device) {
    Datum *names = nullptr, *values = nullptr;
    bool *null_names = nullptr, *nulls = nullptr;
    const int name_count = take_apart(row, kMetricNames, TEXTOID, TYPALIGN_INT, names, null_names);
    const Oid summaries = get_element_type(TupleDescAttr(row->tts_tupleDescriptor, kSummaries)->atttypid);
    const int count = take_apart(row, kSummaries, summaries, TYPALIGN_DOUBLE, values, nulls);
    device.metric_count = kFixedMetrics;
    for (int i = 0; i < kMetricsInRow; ++i) device.statistics[i].count = 0;
    for (int i = 0; i < count; ++i) {
        if (i >= kFixedMetrics && i - kFixedMetrics >= name_count) break;
        if (i >= kFixedMetrics) device.names[device.metric_count++] = postgres::view_of(names[i - kFixedMetrics]);
        if (nulls[i]) continue;
        const summary::FoundSummary found = summary::find_summary(values[i]);
        if (found.is_known) device.statistics[i] = found.statistics;
    }
}

// P.
DeviceRow find_device(postgres::KeyLookup& lookup, std::int32_t generation, std::string_view device_id, std::int32_t part) {
    const Datum key[kStateKeyColumns] = {Int32GetDatum(generation), postgres::text_datum(device_id),
                                         TimestampTzGetDatum(kAllTime), Int32GetDatum(part)};
    DeviceRow device{};
    device.is_found = postgres::find_row(lookup, key);
    if (!device.is_found) return device;
    const TupleTableSlot* row = lookup.found;
    device.sample_count = DatumGetInt64(row->tts_values[kSampleCount]);
    device.first_seen = DatumGetTimestampTz(row->tts_values[kFirstSeen]);
    device.last_seen = DatumGetTimestampTz(row->tts_values[kLastSeen]);
    device.last_received_at = DatumGetTimestampTz(row->tts_values[kLastReceivedAt]);
    device.has_region = !row->tts_isnull[kRegion];
    if (device.has_region) device.region = postgres::view_of(row->tts_values[kRegion]);
    read_metrics(row, device);
    return device;
}

using Convert = std::string (*)(std::string_view);

void append_text(std::string& json, std::string_view text, Convert convert) {
    if (convert == nullptr)
        model::append_json_string(json, text);
    else
        model::append_json_string(json, convert(text));
}

void append_number(std::string& json, std::optional<double> number) {
    if (number)
        model::append_json_number(json, *number);
    else
        json += "null";
}

std::optional<double> known(const summary::Statistics& statistics, double value) {
    return statistics.count == 0 ? std::nullopt : std::optional<double>(value);
}

void append_fixed(std::string& json, const char* metric, const summary::Statistics& s) {
    const auto append = [&json, metric](const char* statistic, std::optional<double> value) {
        json.append(",\"").append(statistic).append(metric).append("\":");
        append_number(json, value);
    };
    append("avg_", known(s, s.mean));
    append("min_", known(s, s.min));
    append("max_", known(s, s.max));
    append("stddev_", s.count == 0 ? std::nullopt : summary::stddev(s));
    append("last_", known(s, s.last_value));
}

void append_further(std::string& json, const summary::Statistics& s) {
    json += "{\"sample_count\":";
    model::append_json_number(json, s.count);
    for (const auto& [name, value] : {std::pair("avg", s.mean), std::pair("min", s.min), std::pair("max", s.max)}) {
        json.append(",\"").append(name).append("\":");
        model::append_json_number(json, value);
    }
    json += ",\"stddev\":";
    append_number(json, summary::stddev(s));
    json += ",\"last\":";
    model::append_json_number(json, s.last_value);
    json += '}';
}

void append_head(std::string& json, std::string_view device_id, std::optional<std::int64_t> version, const DeviceRow& device,
                 Convert convert) {
    json += '{';
    if (version) {
        json += "\"version\":";
        model::append_json_number(json, *version);
        json += ',';
    }
    json += "\"device_id\":";
    append_text(json, device_id, convert);
    json += ",\"region\":";
    if (device.has_region && !device.region.empty())
        append_text(json, device.region, convert);
    else
        json += "null";
    for (const auto& [name, at] : {std::pair("first_seen", device.first_seen), std::pair("last_seen", device.last_seen),
                                   std::pair("last_received_at", device.last_received_at)}) {
        json.append(",\"").append(name).append("\":");
        model::append_json_time(json, at);
    }
    json += ",\"sample_count\":";
    model::append_json_number(json, device.sample_count);
    append_fixed(json, "temperature", device.statistics[kTemperature]);
    append_fixed(json, "humidity", device.statistics[kHumidity]);
}

}  // namespace

DeviceReports::DeviceReports(std::int32_t generation, ::Snapshot snapshot) : generation_(generation) {
    lookup_ = postgres::guarded([snapshot] {
        auto* lookup = static_cast<postgres::KeyLookup*>(palloc0(sizeof(postgres::KeyLookup)));
        postgres::open_lookup(*lookup, postgres::require_relation(kDeviceTable), kSummaries + 1, snapshot, AccessShareLock,
                              kStateKeyColumns);
        return lookup;
    });
}

bool DeviceReports::append(std::string& json, std::string_view device_id, std::optional<std::int64_t> version) {
    const postgres::ScopedMemory memory("telemetry_cqrs device report");
    const auto find = [this, device_id, &memory](std::int32_t part) {
        return postgres::guarded([&] {
            CHECK_FOR_INTERRUPTS();
            const MemoryContext outer = MemoryContextSwitchTo(memory.get());
            const DeviceRow found = find_device(*lookup_, generation_, device_id, part);
            MemoryContextSwitchTo(outer);
            return found;
        });
    };
    DeviceRow device = find(0);
    if (!device.is_found) return false;
    const Convert convert = postgres::utf8_conversion();
    append_head(json, device_id, version, device, convert);
    json += ",\"metrics\":{";
    const char* before = "";
    for (std::int32_t part = 1;; ++part) {
        for (int i = kFixedMetrics; i < device.metric_count; ++i) {
            if (device.statistics[i].count == 0) continue;
            json += before;
            before = ",";
            append_text(json, device.names[i], convert);
            json += ':';
            append_further(json, device.statistics[i]);
        }
        if (device.metric_count < kMetricsInRow) break;  // only a full row has a further part
        device = find(part);
        if (!device.is_found) break;
    }
    json += "}}";
    return true;
}

void DeviceReports::close() {
    postgres::guarded([this] { postgres::close_lookup(*lookup_); });
}

}  // namespace read_model
