// SQL functions ingest_statistics and stat_ingest_reset.
#include "postgres/entry_point.hpp"
#include "postgres/error.hpp"
#include "postgres/sql_function.hpp"
#include "postgres/text.hpp"
#include "runtime/statistics.hpp"

#include "postgres/pg.hpp"

TELEMETRY_FUNCTION(telemetry_get_ingest_statistics) {
    const auto statistics = runtime::ingest_statistics();
    return postgres::guarded([&] {
        constexpr int kSince = runtime::kIngestFigures;
        constexpr int kSqlstate = kSince + 1;
        constexpr int kErrorAt = kSince + 2;
        Datum values[runtime::kIngestFigures + 3] = {};
        bool nulls[runtime::kIngestFigures + 3];
        for (bool& null : nulls) null = !statistics;
        if (statistics) {
            for (int i = 0; i < runtime::kIngestFigures; ++i)
                values[i] = Int64GetDatum(static_cast<int64>(statistics->counts[i]));
            values[kSince] = TimestampTzGetDatum(statistics->since);
            nulls[kSqlstate] = nulls[kErrorAt] = statistics->last_error_at == 0;
            values[kSqlstate] = postgres::text_datum(unpack_sql_state(statistics->last_error_sqlstate));
            values[kErrorAt] = TimestampTzGetDatum(statistics->last_error_at);
        }
        return postgres::row_of(fcinfo, values, nulls);
    });
}

TELEMETRY_FUNCTION(telemetry_reset_ingest_statistics) {
    runtime::reset_ingest_statistics();
    PG_RETURN_VOID();
}
