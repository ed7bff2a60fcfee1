// Merges deltas into rows.
#include "read_model/state_table.hpp"

#include <algorithm>

#include "error_codes.hpp"
#include "postgres/array.hpp"
#include "postgres/catalog.hpp"
#include "postgres/error.hpp"
#include "postgres/keyed_table.hpp"
#include "postgres/memory.hpp"
#include "postgres/server_versions.hpp"
#include "postgres/text.hpp"
#include "read_model/delta_rows.hpp"
#include "read_model/state_columns.hpp"
#include "runtime/own_tables.hpp"
#include "summary/stored_summary.hpp"

#include "postgres/pg.hpp"

namespace read_model {
namespace {

constexpr std::size_t kRowsBetweenResets = 256;

struct Writer {
    postgres::KeyedTable table;
    std::int32_t generation;
    bool has_region, has_sketches;
    Oid summary_type;
    Recount recount;
    postgres::ReusedText key_buffer, region_buffer;
    bool is_in_run;  // the rows of a run of deltas are being read
    bool has_found;  // the next one of them is in table.found
};

// The summaries of a row, taken apart.
struct Summaries {
    Datum names[kMetricsInRow];  // texts, from metric kFixedMetrics on
    Datum values[kMetricsInRow];
    bool nulls[kMetricsInRow];
    int count;  // kFixedMetrics at least
    bool has_new_name;
};

// P.
std::int64_t found_integer(const postgres::KeyedTable& table, int column) {
    return DatumGetInt64(table.found->tts_values[column]);
}

// P.
std::int64_t sum_of(std::int64_t a, std::int64_t b) {
    std::int64_t sum;
    if (pg_add_s64_overflow(a, b, &sum))
        ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE), errmsg("sample count out of range")));
    return sum;
}

// P.
[[noreturn]] void report_altered_row(const Writer& writer) {
    ereport(ERROR, (errcode(error_codes::kCorruptSummary),
                    errmsg("corrupt row in table \"%s\"", RelationGetRelationName(writer.table.relation)),
                    errdetail("A row must have as many metric names as summaries after the second, and at most %d summaries.",
                              kMetricsInRow),
                    errhint("Somebody changed the row. Restore it from a backup.")));
}

// P. Takes an array of the found row apart, into at most `most` elements. Returns how many there are.
int take_apart(const Writer& writer, int column, Oid type, char alignment, Datum* values, bool* nulls, int most) {
    if (writer.table.found->tts_isnull[column]) return 0;
    Datum* elements;
    bool* are_null;
    int count;
    deconstruct_array(DatumGetArrayTypeP(writer.table.found->tts_values[column]), type, -1, false, alignment, &elements,
                      &are_null, &count);
    if (count > most) report_altered_row(writer);
    for (int i = 0; i < count; ++i) {
        values[i] = elements[i];
        nulls[i] = are_null[i];
    }
    return count;
}

// P.
void start_summaries(Summaries& row) {
    row.count = kFixedMetrics;
    row.has_new_name = false;
    row.nulls[kTemperature] = row.nulls[kHumidity] = true;
}

// P.
void read_summaries(const Writer& writer, Summaries& row) {
    start_summaries(row);
    bool null_names[kMetricsInRow];
    const int names = take_apart(writer, kMetricNames, TEXTOID, TYPALIGN_INT, row.names + kFixedMetrics, null_names,
                                 kMetricsInRow - kFixedMetrics);
    row.count = take_apart(writer, kSummaries, writer.summary_type, TYPALIGN_DOUBLE, row.values, row.nulls, kMetricsInRow);
    if (row.count != kFixedMetrics + names) report_altered_row(writer);
    for (int i = 0; i < names; ++i)
        if (null_names[i]) report_altered_row(writer);
}

// P. The number of the metric in the row; row.count: it is not there.
int number_of(const Summaries& row, std::string_view name) {
    int number = kFixedMetrics;
    while (number < row.count && postgres::view_of(row.names[number]) != name) ++number;
    return number;
}

// P. Counts the resets again where readings overlap.
Datum with_exact_resets(const Writer& writer, const GroupDelta& group, std::string_view metric, Datum stored_counter) {
    const summary::FoundSummary found = summary::find_summary(stored_counter);
    if (!found.counter.overlaps) return stored_counter;
    summary::Counter counter;
    const bool is_counted =
        writer.recount.count_again(writer.recount.context, group.key, group.bucket, metric, found.statistics.count, counter);
    return is_counted ? summary::with_counter(found, counter) : stored_counter;
}

// P. The summary of a row's metric after the delta.
Datum merged(const Writer& writer, const GroupDelta& group, std::string_view metric, Datum found, const MetricDelta& delta) {
    const std::span<const summary::Bin> bins = summary::bins_of(delta.sketch);
    const Datum sum =
        summary::stored_sum(found, {delta.statistics, delta.counter != nullptr ? &delta.counter->counter : nullptr,
                                    writer.has_sketches ? &bins : nullptr});
    if (sum == 0)
        ereport(ERROR, (errcode(error_codes::kCorruptSummary),
                        errmsg("corrupt summary in table \"%s\"", RelationGetRelationName(writer.table.relation)),
                        errdetail("%s", summary::kCorruptSummaryDetail), errhint("%s", summary::kCorruptSummaryHint)));
    return delta.counter != nullptr ? with_exact_resets(writer, group, metric, sum) : sum;
}

// P.
void add_metric(const Writer& writer, Summaries& row, const GroupDelta& group, std::string_view metric, int number,
                const MetricDelta& delta) {
    if (delta.statistics.count == 0) return;
    row.values[number] = row.nulls[number] ? stored_values(delta, writer.has_sketches)
                                           : merged(writer, group, metric, row.values[number], delta);
    row.nulls[number] = false;
}

// P. Puts the summaries into the row to be written.
void set_summaries(Writer& writer, Summaries& row) {
    int dimension = row.count, lower_bound = 1;
    postgres::set_value(writer.table, kSummaries,
                        PointerGetDatum(construct_md_array(row.values, row.nulls, 1, &dimension, &lower_bound,
                                                           writer.summary_type, -1, false, TYPALIGN_DOUBLE)));
    if (row.has_new_name)
        postgres::set_value(writer.table, kMetricNames,
                            postgres::array_datum(row.names + kFixedMetrics, row.count - kFixedMetrics, TEXTOID));
}

// P. Merges what a row of part 0 has beside summaries.
void set_group(Writer& writer, const GroupDelta& delta, bool is_found) {
    postgres::KeyedTable& table = writer.table;
    std::int64_t sample_count = delta.sample_count;
    model::Micros first_seen = delta.first_seen, last_seen = delta.last_seen, last_received_at = delta.last_received_at;
    bool has_newer_region = writer.has_region;
    if (is_found) {
        sample_count = sum_of(found_integer(table, kSampleCount), sample_count);
        first_seen = Min(found_integer(table, kFirstSeen), first_seen);
        last_received_at = Max(found_integer(table, kLastReceivedAt), last_received_at);
        const model::Micros found_last = found_integer(table, kLastSeen);
        const bool has_region = !table.found->tts_isnull[kRegion];
        if (found_last > last_seen ||
            (found_last == last_seen && has_region && postgres::view_of(table.found->tts_values[kRegion]) > delta.region))
            has_newer_region = false;
        last_seen = Max(found_last, last_seen);
    }
    postgres::set_value(table, kSampleCount, Int64GetDatum(sample_count));
    postgres::set_value(table, kFirstSeen, TimestampTzGetDatum(first_seen));
    postgres::set_value(table, kLastSeen, TimestampTzGetDatum(last_seen));
    postgres::set_value(table, kLastReceivedAt, TimestampTzGetDatum(last_received_at));
    if (has_newer_region && delta.region.empty()) postgres::set_null(table, kRegion);
    if (has_newer_region && !delta.region.empty())
        postgres::set_value(table, kRegion, postgres::text_datum(writer.region_buffer, delta.region));
}

// P. Merges the pending metrics that the row has, and adds others as long as there is room. Those that remain are pending.
bool add_pending(const Writer& writer, Summaries& row, const GroupDelta& group, const NamedMetricDelta** pending, int& count) {
    const int room = writer.has_sketches ? kSketchedMetricsInRow : kMetricsInRow;
    bool is_changed = false;
    int left = 0;
    for (int i = 0; i < count; ++i) {
        const int number = number_of(row, pending[i]->name);
        if (number == row.count && row.count < room) {
            row.names[row.count] = postgres::text_datum(pending[i]->name);
            row.nulls[row.count++] = true;
            row.has_new_name = true;
        }
        if (number < row.count) {
            add_metric(writer, row, group, pending[i]->name, number, *pending[i]);
            is_changed = true;
        } else {
            pending[left++] = pending[i];
        }
    }
    count = left;
    return is_changed;
}

// P. The deltas from the first one on that belong to one key and lie close together. Their rows are read in one go.
std::size_t length_of_run(std::span<const GroupDelta* const> deltas, model::Micros bucket_width) {
    constexpr std::uint64_t kWidestGap = 8;  // buckets; the rows between are read and passed over
    const std::uint64_t most = kWidestGap * static_cast<std::uint64_t>(bucket_width);
    // Unsigned, because two times may lie further apart than a signed number tells.
    const auto time_of = [](const GroupDelta* delta) { return static_cast<std::uint64_t>(delta->bucket); };
    std::size_t length = 1;
    while (length < deltas.size() && deltas[length]->key == deltas[0]->key &&
           time_of(deltas[length]) - time_of(deltas[length - 1]) <= most)
        ++length;
    return length;
}

// P.
void start_run(Writer& writer, const GroupDelta& first, const GroupDelta& last) {
    writer.is_in_run = &first != &last;
    if (!writer.is_in_run) return;
    const Datum key[] = {Int32GetDatum(writer.generation), postgres::text_datum(writer.key_buffer, first.key),
                         TimestampTzGetDatum(first.bucket)};
    writer.has_found = postgres::find_rows(writer.table, key, TimestampTzGetDatum(last.bucket));
}

// P. Looks for a row. In a run, each one comes after the row that was looked for before.
bool find_row(Writer& writer, const Datum* key) {
    if (!writer.is_in_run) return postgres::find_row(writer.table, key);
    const TimestampTz bucket = DatumGetTimestampTz(key[kBucket]);
    const std::int32_t part = DatumGetInt32(key[kPart]);
    for (; writer.has_found; writer.has_found = postgres::find_row_after(writer.table)) {
        const TimestampTz found_bucket = found_integer(writer.table, kBucket);
        const std::int32_t found_part = DatumGetInt32(writer.table.found->tts_values[kPart]);
        if (found_bucket > bucket || (found_bucket == bucket && found_part >= part))
            return found_bucket == bucket && found_part == part;
    }
    return false;
}

// P.
void add_delta(Writer& writer, const GroupDelta& delta) {
    int pending_count = 0;
    for (const NamedMetricDelta* each = delta.further; each != nullptr; each = each->next) ++pending_count;
    auto** pending = static_cast<const NamedMetricDelta**>(palloc(sizeof(void*) * static_cast<std::size_t>(pending_count + 1)));
    pending_count = 0;
    for (const NamedMetricDelta* each = delta.further; each != nullptr; each = each->next) pending[pending_count++] = each;

    postgres::KeyedTable& table = writer.table;
    for (std::int32_t part = 0; part == 0 || pending_count > 0; ++part) {
        const Datum key[] = {Int32GetDatum(writer.generation), postgres::text_datum(writer.key_buffer, delta.key),
                             TimestampTzGetDatum(delta.bucket), Int32GetDatum(part)};
        const bool is_found = find_row(writer, key);
        Summaries row;
        if (is_found)
            read_summaries(writer, row);
        else
            start_summaries(row);
        if (part == 0) {
            add_metric(writer, row, delta, "temperature", kTemperature, delta.temperature);
            add_metric(writer, row, delta, "humidity", kHumidity, delta.humidity);
        }
        if (!add_pending(writer, row, delta, pending, pending_count) && part > 0) continue;
        if (is_found) {
            postgres::copy_found_row(table);
        } else {
            postgres::start_row(table);
            for (int i = kGeneration; i <= kPart; ++i) postgres::set_value(table, i, key[i]);
        }
        if (part == 0) set_group(writer, delta, is_found);
        set_summaries(writer, row);
        if (is_found)
            postgres::update_row(table);
        else
            postgres::insert_row(table);
    }
}

// P. 0: the table is empty.
std::int32_t greatest_generation(Relation table, int key_column_count, ::Snapshot snapshot) {
    Relation key = postgres::open_key_index(table, AccessShareLock, key_column_count);
    IndexScanDesc scan = postgres::begin_index_scan(table, key, snapshot, 0);
    TupleTableSlot* row = table_slot_create(table, nullptr);
    index_rescan(scan, nullptr, 0, nullptr, 0);
    bool is_null = false;
    const std::int32_t greatest =
        index_getnext_slot(scan, BackwardScanDirection, row) ? DatumGetInt32(slot_getattr(row, kGeneration + 1, &is_null)) : 0;
    ExecDropSingleTupleTableSlot(row);
    index_endscan(scan);
    index_close(key, NoLock);
    return greatest;
}

// P. An OwnTable whose name lies in the current memory context.
postgres::OwnTable own_table_of(const char* name) {
    return runtime::state_table(pstrdup(name));
}

}  // namespace

void open_state(StateTable& state, ::Snapshot snapshot) {
    postgres::guarded([name = state.name.c_str(), &generation = state.generation, snapshot] {
        const postgres::OwnTable own = own_table_of(name);
        Relation table = table_open(postgres::require_relation(name), RowExclusiveLock);
        postgres::refuse_native_obstacle(table, own);
        if (generation == 0) generation = greatest_generation(table, own.key_column_count, snapshot) + 1;
        table_close(table, NoLock);
    });
}

void add_deltas(const StateTable& state, std::span<const GroupDelta* const> deltas, const Recount& recount,
                ::Snapshot snapshot) {
    if (deltas.empty()) return;
    const postgres::ScopedMemory memory("telemetry_cqrs state");
    const postgres::ScopedMemory rows("telemetry_cqrs row");
    postgres::guarded([&state, name = state.name.c_str(), deltas, &recount, snapshot, &memory, &rows] {
        const MemoryContext caller = MemoryContextSwitchTo(memory.get());
        const postgres::OwnTable own = own_table_of(name);
        Writer writer{};
        writer.generation = state.generation;
        writer.has_region = state.has_region;
        writer.has_sketches = state.has_sketches;
        writer.recount = recount;
        writer.key_buffer.memory = writer.region_buffer.memory = memory.get();
        postgres::open_table(writer.table, own, snapshot);
        postgres::gather_new_rows(writer.table);
        writer.summary_type = get_element_type(TupleDescAttr(RelationGetDescr(writer.table.relation), kSummaries)->atttypid);
        MemoryContextSwitchTo(rows.get());
        std::size_t run_end = 0;
        for (std::size_t i = 0; i < deltas.size(); ++i) {
            if (i % kRowsBetweenResets == 0) {
                CHECK_FOR_INTERRUPTS();
                MemoryContextReset(rows.get());
            }
            if (i == run_end) {
                run_end = i + length_of_run(deltas.subspan(i), state.bucket_width);
                start_run(writer, *deltas[i], *deltas[run_end - 1]);
            }
            add_delta(writer, *deltas[i]);
        }
        MemoryContextSwitchTo(memory.get());
        postgres::close_table(writer.table);
        MemoryContextSwitchTo(caller);
    });
}

}  // namespace read_model
