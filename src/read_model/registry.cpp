// Reads the registry. Its tables are small and seldom written, so a look reads them whole.
#include "read_model/registry.hpp"

#include <algorithm>

#include "error_codes.hpp"
#include "model/name_text.hpp"
#include "postgres/catalog.hpp"
#include "postgres/encoding.hpp"
#include "postgres/error.hpp"
#include "postgres/growing_array.hpp"
#include "postgres/key_lookup.hpp"
#include "postgres/memory.hpp"
#include "postgres/snapshot_memo.hpp"
#include "postgres/text.hpp"
#include "runtime/own_tables.hpp"

#include "postgres/pg.hpp"

namespace read_model {
namespace {

using postgres::GrowingArray;

enum RegistryColumn { kName, kGrain, kBucket, kQuantiles, kCadence, kMetrics, kDevices, kRegions, kHandler, kRunsAs };
enum MetricColumn { kMetricName, kKind };
enum SettingColumn { kSettingName, kSettingCadence, kSettingRetention, kSettingPolicy, kSettingReplays };

// Rows without destructors, for guarded blocks.
struct DefinitionRow {
    const char* name;
    const char* grain;
    std::int64_t bucket_width;
    bool has_sketches;
    std::int64_t cadence;
    const char* const* metrics;  // ends with null; null: not set
    const char* devices;         // null: not set
    const char* const* regions;  // as metrics
    const char* handler;         // null: none
    const char* runs_as;
};
struct SettingRow {
    const char* name;
    std::int64_t cadence, retention;  // -1: not set
    bool parks, replays;
};

// P. Calls `body(slot)` for each row of a table. Version 1.0 does not have these tables.
template <typename Body>
void for_each_row_of(const char* table_name, ::Snapshot snapshot, Body&& body) {
    const Oid table = postgres::find_relation(postgres::require_schema(), table_name);
    if (OidIsValid(table)) postgres::for_each_row(table, snapshot, body);
}

// P. The length of an interval without months. Where a column has none, this gives `otherwise`.
std::int64_t length_of(TupleTableSlot* slot, int column, std::int64_t otherwise) {
    if (slot->tts_isnull[column]) return otherwise;
    const Interval* interval = DatumGetIntervalP(slot->tts_values[column]);
    return interval->time + interval->day * USECS_PER_DAY;
}

// P. The texts of an array, and null after the last one. Null: the column is NULL.
const char* const* texts_of(TupleTableSlot* slot, int column) {
    if (slot->tts_isnull[column]) return nullptr;
    Datum* elements;
    bool* nulls;
    int count;
    deconstruct_array(DatumGetArrayTypeP(slot->tts_values[column]), TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls,
                      &count);
    auto** texts = static_cast<const char**>(palloc0(sizeof(char*) * static_cast<std::size_t>(count + 1)));
    int found = 0;
    for (int i = 0; i < count; ++i)
        if (!nulls[i]) texts[found++] = postgres::c_string_of(elements[i]);
    return texts;
}

// P.
GrowingArray<DefinitionRow> read_definitions(::Snapshot snapshot) {
    GrowingArray<DefinitionRow> read{};
    for_each_row_of("projection", snapshot, [&read](TupleTableSlot* slot) {
        const Datum* value = slot->tts_values;
        postgres::append(read,
                         DefinitionRow{.name = postgres::c_string_of(value[kName]),
                                       .grain = postgres::c_string_of(value[kGrain]),
                                       .bucket_width = length_of(slot, kBucket, 0),
                                       .has_sketches = DatumGetBool(value[kQuantiles]),
                                       .cadence = length_of(slot, kCadence, 0),
                                       .metrics = texts_of(slot, kMetrics),
                                       .devices = slot->tts_isnull[kDevices] ? nullptr : postgres::c_string_of(value[kDevices]),
                                       .regions = texts_of(slot, kRegions),
                                       .handler = slot->tts_isnull[kHandler] ? nullptr : postgres::c_string_of(value[kHandler]),
                                       .runs_as = slot->tts_isnull[kRunsAs] ? nullptr : postgres::c_string_of(value[kRunsAs])});
    });
    return read;
}

// P.
GrowingArray<SettingRow> read_settings(::Snapshot snapshot) {
    GrowingArray<SettingRow> read{};
    for_each_row_of("projection_setting", snapshot, [&read](TupleTableSlot* slot) {
        const bool parks = !slot->tts_isnull[kSettingPolicy] && postgres::view_of(slot->tts_values[kSettingPolicy]) == "park";
        postgres::append(read, SettingRow{.name = postgres::c_string_of(slot->tts_values[kSettingName]),
                                          .cadence = length_of(slot, kSettingCadence, -1),
                                          .retention = length_of(slot, kSettingRetention, -1),
                                          .parks = parks,
                                          .replays = DatumGetBool(slot->tts_values[kSettingReplays])});
    });
    return read;
}

// P.
GrowingArray<const char*> read_pauses(::Snapshot snapshot) {
    GrowingArray<const char*> read{};
    for_each_row_of("pause", snapshot, [&read](TupleTableSlot* slot) {
        postgres::append(read, static_cast<const char*>(postgres::c_string_of(slot->tts_values[kName])));
    });
    return read;
}

// P. Readings may have registered thousands of gauges, so it takes the index of the counters where there is one.
GrowingArray<const char*> read_counters(::Snapshot snapshot) {
    GrowingArray<const char*> read{};
    const auto take = [&read](TupleTableSlot* slot) {
        if (postgres::view_of(slot->tts_values[kKind]) == "counter")
            postgres::append(read, static_cast<const char*>(postgres::c_string_of(slot->tts_values[kMetricName])));
    };
    const Oid schema = postgres::require_schema();
    const Oid index = postgres::find_relation(schema, "metric_counters");
    if (OidIsValid(index))
        postgres::for_each_row_of_index(postgres::find_relation(schema, "metric"), index, snapshot, take);
    else
        for_each_row_of("metric", snapshot, take);
    return read;
}

Grain grain_of(const DefinitionRow& row) {
    if (std::string_view(row.grain) == "device") return Grain::kDevice;
    if (std::string_view(row.grain) == "region") return Grain::kRegion;
    if (std::string_view(row.grain) == "all") return Grain::kAll;
    if (std::string_view(row.grain) == "batch") return Grain::kBatch;
    throw postgres::Error(error_codes::kLogWasAltered, std::string("projection \"") + row.name + "\" has an unknown grain",
                          std::string("telemetry.projection says \"") + row.grain + "\".",
                          "Grains are: device, region, all, batch.");
}

std::optional<std::vector<std::string>> strings_of(const char* const* texts) {
    if (texts == nullptr) return std::nullopt;
    std::vector<std::string> strings;
    for (; *texts != nullptr; ++texts) strings.emplace_back(*texts);
    return strings;
}

}  // namespace

std::string state_table_of(std::string_view projection) {
    return std::string(runtime::kStateTablePrefix).append(projection);
}

void visit_state_tables(::Snapshot snapshot, void (*visit)(void* context, const char* name), void* context) {
    const GrowingArray<DefinitionRow> read = read_definitions(snapshot);
    for (const DefinitionRow& each : read)
        if (each.handler == nullptr) visit(context, psprintf("%s%s", runtime::kStateTablePrefix, each.name));
}

std::vector<Definition> read_registry(::Snapshot snapshot) {
    struct Read {
        GrowingArray<DefinitionRow> definitions;
        GrowingArray<SettingRow> settings;
        GrowingArray<const char*> pauses;
        GrowingArray<const char*> counters;
    };
    const postgres::ScopedMemory memory("telemetry_cqrs registry");
    const Read read = postgres::guarded([&memory, snapshot] {
        const MemoryContext caller = MemoryContextSwitchTo(memory.get());
        const Read result{read_definitions(snapshot), read_settings(snapshot), read_pauses(snapshot), read_counters(snapshot)};
        MemoryContextSwitchTo(caller);
        return result;
    });
    std::vector<Definition> definitions;
    for (const DefinitionRow& row : read.definitions) {
        definitions.push_back({.name = row.name,
                               .grain = grain_of(row),
                               .bucket_width = row.bucket_width,
                               .has_sketches = row.has_sketches,
                               .cadence = row.cadence,
                               .metrics = strings_of(row.metrics),
                               .devices = row.devices == nullptr ? std::nullopt : std::optional<std::string>(row.devices),
                               .regions = strings_of(row.regions),
                               .handler = row.handler == nullptr ? "" : row.handler,
                               .runs_as = row.runs_as == nullptr ? "" : row.runs_as});
    }
    // Version 1.0 has no registry.
    if (definitions.empty())
        definitions = {{.name = "device", .grain = Grain::kDevice}, {.name = "region", .grain = Grain::kRegion}};
    std::sort(definitions.begin(), definitions.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
    for (Definition& each : definitions) {
        for (const SettingRow& setting : read.settings) {
            if (each.name != setting.name) continue;
            if (setting.cadence >= 0) each.cadence = setting.cadence;
            if (setting.retention >= 0) each.retention = setting.retention;
            each.parks = setting.parks;
            each.replays = setting.replays;
        }
        if (each.keeps_counters()) each.counters.assign(read.counters.begin(), read.counters.end());
        for (const char* paused : read.pauses) each.is_paused = each.is_paused || each.name == paused;
    }
    return definitions;
}

const Definition& require_projection(std::string_view name, ::Snapshot snapshot) {
    static auto& memo = *new postgres::SnapshotMemo<std::vector<Definition>>;  // no destructor runs at exit
    std::string known;
    for (const Definition& each : memo.at(snapshot, [snapshot] { return read_registry(snapshot); })) {
        if (each.name == name) return each;
        known.append(known.empty() ? "" : ", ").append(each.name);
    }
    throw postgres::Error(ERRCODE_INVALID_PARAMETER_VALUE,
                          "there is no projection " + postgres::presentable(model::quoted_for_message(name)), {},
                          "Projections are: " + known + ".");
}

}  // namespace read_model
