// SQL function log_status: tells whether the log was written here, or was restored from another place.
#include "feed/progress.hpp"
#include "postgres/entry_point.hpp"
#include "postgres/error.hpp"
#include "postgres/sql_function.hpp"
#include "postgres/text.hpp"
#include "runtime/installed.hpp"

#include "postgres/pg.hpp"

TELEMETRY_FUNCTION(telemetry_get_log_status) {
    const auto epochs = feed::read_progress(postgres::guarded(postgres::callers_snapshot)).epochs;
    const bool is_open = !epochs.empty() && epochs.back().is_local(runtime::current_place());
    const char* state = epochs.empty() ? "fresh" : is_open ? "open" : "restored";
    const int epoch = epochs.empty() ? 0 : static_cast<int>(epochs.back().epoch.value);
    const TimestampTz opened_at = epochs.empty() ? 0 : epochs.back().opened_at;
    return postgres::guarded([&] {
        Datum values[] = {postgres::text_datum(state), Int32GetDatum(epoch), TimestampTzGetDatum(opened_at)};
        bool nulls[] = {false, epoch == 0, epoch == 0};
        return postgres::row_of(fcinfo, values, nulls);
    });
}
