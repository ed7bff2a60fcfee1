// SQL function quota_status: what the quotas and the brake have refused, and how many events wait for the projector.
#include "postgres/entry_point.hpp"
#include "postgres/error.hpp"
#include "postgres/sql_function.hpp"
#include "runtime/backlog.hpp"
#include "runtime/quotas.hpp"

#include "postgres/pg.hpp"

TELEMETRY_FUNCTION(telemetry_get_quota_status) {
    const runtime::QuotaReport report = runtime::quota_report();
    const std::int64_t backlog = runtime::backlog();
    return postgres::guarded([&] {
        constexpr int kUnbounded = runtime::kLimits;
        Datum values[runtime::kLimits + 3];
        bool nulls[runtime::kLimits + 3];
        for (bool& null : nulls) null = !runtime::has_quotas();
        for (int i = 0; i < runtime::kLimits; ++i) values[i] = Int64GetDatum(static_cast<int64>(report.refused[i]));
        values[kUnbounded] = Int64GetDatum(static_cast<int64>(report.unbounded_requests));
        values[kUnbounded + 1] = TimestampTzGetDatum(report.last_refused_at);
        nulls[kUnbounded + 1] = report.last_refused_at == 0;
        values[kUnbounded + 2] = Int64GetDatum(backlog);
        return postgres::row_of(fcinfo, values, nulls);
    });
}
