// SQL type telemetry.summary: its text and binary forms, and the functions that read one of its values.
#include <cmath>
#include <cstring>
#include <optional>
#include <string>

#include "error_codes.hpp"
#include "model/summary.hpp"
#include "model/summary_text.hpp"
#include "model/validation.hpp"
#include "postgres/encoding.hpp"
#include "postgres/entry_point.hpp"
#include "postgres/error.hpp"
#include "postgres/text.hpp"
#include "read_model/stored_summary.hpp"

#include "postgres/pg.hpp"

namespace query {
namespace {

const model::Summary& summary_argument(FunctionCallInfo fcinfo) {
    const model::Summary* summary =
        postgres::guarded([fcinfo] { return read_model::find_summary(postgres::unpacked(PG_GETARG_DATUM(0))); });
    if (summary == nullptr || summary->count == 0)
        throw postgres::Error(error_codes::kCorruptSummary, "corrupt telemetry.summary",
                              "The stored value is not one that this version of the extension writes.",
                              read_model::kCorruptSummaryHint);
    return *summary;
}

Datum datum_of(const model::Summary& summary) {
    return postgres::guarded([&summary] {
        auto* stored = static_cast<read_model::StoredSummary*>(palloc(sizeof(read_model::StoredSummary)));
        read_model::store(*stored, summary);
        return PointerGetDatum(stored);
    });
}

}  // namespace
}  // namespace query

TELEMETRY_FUNCTION(telemetry_parse_summary) {
    const char* sent = PG_GETARG_CSTRING(0);
    const std::optional<model::Summary> summary = model::parse_summary(sent);
    if (!summary)
        throw postgres::Error(error_codes::kCorruptSummary, "invalid input for type telemetry.summary",
                              "The text is " + postgres::presentable(model::quoted_for_message(sent)) + ".",
                              "The text form is what a cast of a summary to text gives.");
    return query::datum_of(*summary);
}

TELEMETRY_FUNCTION(telemetry_print_summary) {
    const std::string printed = model::to_text(query::summary_argument(fcinfo));
    return postgres::guarded([&printed] { return CStringGetDatum(pnstrdup(printed.data(), printed.size())); });
}

// The binary form is the version and then the members in the order of the struct, in network byte order.
TELEMETRY_FUNCTION(telemetry_send_summary) {
    const model::Summary& summary = query::summary_argument(fcinfo);
    return postgres::guarded([&summary] {
        StringInfoData buffer;
        pq_begintypsend(&buffer);
        pq_sendbyte(&buffer, read_model::kStoredVersion);
        pq_sendint64(&buffer, static_cast<uint64>(summary.count));
        for (const double value : {summary.mean, summary.m2, summary.min, summary.max, summary.first_value, summary.last_value})
            pq_sendfloat8(&buffer, value);
        pq_sendint64(&buffer, static_cast<uint64>(summary.first_at));
        pq_sendint64(&buffer, static_cast<uint64>(summary.last_at));
        return PointerGetDatum(pq_endtypsend(&buffer));
    });
}

TELEMETRY_FUNCTION(telemetry_receive_summary) {
    auto* message = reinterpret_cast<StringInfo>(PG_GETARG_POINTER(0));
    model::Summary summary;
    const bool is_known = postgres::guarded([message, &summary] {
        if (pq_getmsgbyte(message) != read_model::kStoredVersion) return false;
        summary.count = pq_getmsgint64(message);
        for (double* value :
             {&summary.mean, &summary.m2, &summary.min, &summary.max, &summary.first_value, &summary.last_value})
            *value = pq_getmsgfloat8(message);
        summary.first_at = pq_getmsgint64(message);
        summary.last_at = pq_getmsgint64(message);
        return true;
    });
    if (!is_known)
        throw postgres::Error(error_codes::kCorruptSummary, "unknown version of a binary telemetry.summary",
                              "This library reads version " + std::to_string(read_model::kStoredVersion) + ".",
                              "Send the summary as text.");
    if (!model::is_consistent(summary))
        throw postgres::Error(error_codes::kCorruptSummary, "invalid binary telemetry.summary",
                              "No set of values has these statistics.", "Send what the function summary_send gave.");
    return query::datum_of(summary);
}

TELEMETRY_FUNCTION(telemetry_get_sample_count) {
    PG_RETURN_INT64(query::summary_argument(fcinfo).count);
}
TELEMETRY_FUNCTION(telemetry_get_avg) {
    PG_RETURN_FLOAT8(query::summary_argument(fcinfo).mean);
}
TELEMETRY_FUNCTION(telemetry_get_minimum) {
    PG_RETURN_FLOAT8(query::summary_argument(fcinfo).min);
}
TELEMETRY_FUNCTION(telemetry_get_maximum) {
    PG_RETURN_FLOAT8(query::summary_argument(fcinfo).max);
}
TELEMETRY_FUNCTION(telemetry_get_first_value) {
    PG_RETURN_FLOAT8(query::summary_argument(fcinfo).first_value);
}
TELEMETRY_FUNCTION(telemetry_get_last_value) {
    PG_RETURN_FLOAT8(query::summary_argument(fcinfo).last_value);
}
TELEMETRY_FUNCTION(telemetry_get_first_at) {
    PG_RETURN_TIMESTAMPTZ(query::summary_argument(fcinfo).first_at);
}
TELEMETRY_FUNCTION(telemetry_get_last_at) {
    PG_RETURN_TIMESTAMPTZ(query::summary_argument(fcinfo).last_at);
}

TELEMETRY_FUNCTION(telemetry_get_stddev) {
    const std::optional<double> value = model::stddev(query::summary_argument(fcinfo));
    if (!value) PG_RETURN_NULL();
    PG_RETURN_FLOAT8(*value);
}
