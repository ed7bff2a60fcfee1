// Makes a row of a delta, in a memory context that each row empties.
#include "read_model/delta_rows.hpp"

#include <span>

#include "postgres/array.hpp"
#include "postgres/text.hpp"
#include "summary/stored_summary.hpp"

#include "postgres/pg.hpp"

namespace read_model {

Datum stored_values(const MetricDelta& delta, bool has_sketches) {
    const std::span<const summary::Bin> bins = summary::bins_of(delta.sketch);
    return summary::new_stored(
        {delta.statistics, delta.counter != nullptr ? &delta.counter->counter : nullptr, has_sketches ? &bins : nullptr});
}

void put_deltas(ReturnSetInfo* result, const GroupDelta* const* deltas, std::size_t count, bool has_sketches) {
    enum ResultColumn {
        kDeltaKey,
        kDeltaBucket,
        kDeltaSampleCount,
        kDeltaFirstSeen,
        kDeltaLastSeen,
        kDeltaLastReceivedAt,
        kDeltaRegion,
        kDeltaMetricNames,
        kDeltaSummaries
    };
    const Oid summary_type = get_element_type(TupleDescAttr(result->setDesc, kDeltaSummaries)->atttypid);
    const MemoryContext row = AllocSetContextCreate(CurrentMemoryContext, "telemetry_cqrs row", ALLOCSET_DEFAULT_SIZES);
    const MemoryContext caller = MemoryContextSwitchTo(row);
    for (std::size_t i = 0; i < count; ++i) {
        CHECK_FOR_INTERRUPTS();
        MemoryContextReset(row);
        const GroupDelta& delta = *deltas[i];
        int further = 0;
        for (const NamedMetricDelta* each = delta.further; each != nullptr; each = each->next) ++further;
        const auto metrics = std::size_t{kFixedMetrics} + static_cast<std::size_t>(further);
        auto* names = static_cast<Datum*>(palloc(sizeof(Datum) * metrics));
        auto* summaries = static_cast<Datum*>(palloc(sizeof(Datum) * metrics));
        auto* missing = static_cast<bool*>(palloc(sizeof(bool) * metrics));
        const auto put = [&](int number, const MetricDelta& metric) {
            missing[number] = metric.statistics.count == 0;
            if (!missing[number]) summaries[number] = stored_values(metric, has_sketches);
        };
        put(kTemperature, delta.temperature);
        put(kHumidity, delta.humidity);
        int number = kFixedMetrics;
        for (const NamedMetricDelta* each = delta.further; each != nullptr; each = each->next, ++number) {
            names[number] = postgres::text_datum(each->name);
            put(number, *each);
        }
        Datum values[kDeltaSummaries + 1];
        bool nulls[kDeltaSummaries + 1] = {};
        values[kDeltaKey] = postgres::text_datum(delta.key);
        values[kDeltaBucket] = TimestampTzGetDatum(delta.bucket);
        values[kDeltaSampleCount] = Int64GetDatum(delta.sample_count);
        values[kDeltaFirstSeen] = TimestampTzGetDatum(delta.first_seen);
        values[kDeltaLastSeen] = TimestampTzGetDatum(delta.last_seen);
        values[kDeltaLastReceivedAt] = TimestampTzGetDatum(delta.last_received_at);
        nulls[kDeltaRegion] = delta.region.empty();
        values[kDeltaRegion] = postgres::text_datum(delta.region);
        nulls[kDeltaMetricNames] = further == 0;
        if (further > 0) values[kDeltaMetricNames] = postgres::array_datum(names + kFixedMetrics, further, TEXTOID);
        int dimension = number, lower_bound = 1;
        values[kDeltaSummaries] = PointerGetDatum(
            construct_md_array(summaries, missing, 1, &dimension, &lower_bound, summary_type, -1, false, TYPALIGN_DOUBLE));
        tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
    }
    MemoryContextSwitchTo(caller);
    MemoryContextDelete(row);
}

}  // namespace read_model
