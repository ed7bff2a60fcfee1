// The input and output functions of the type telemetry.summary, for its text form and its binary form.
#include <optional>
#include <string>

#include "error_codes.hpp"
#include "model/validation.hpp"
#include "postgres/encoding.hpp"
#include "postgres/entry_point.hpp"
#include "postgres/error.hpp"
#include "summary/argument.hpp"
#include "summary/stored_summary.hpp"
#include "summary/summary_text.hpp"

#include "postgres/pg.hpp"

namespace summary {
namespace {

Datum datum_of(const Statistics& statistics) {
    return postgres::guarded([&statistics] {
        auto* stored = static_cast<StoredSummary*>(palloc(sizeof(StoredSummary)));
        store(*stored, statistics);
        return PointerGetDatum(stored);
    });
}

}  // namespace
}  // namespace summary

TELEMETRY_FUNCTION(telemetry_parse_summary) {
    const char* sent = PG_GETARG_CSTRING(0);
    const std::optional<summary::Statistics> parsed = summary::parse_summary(sent);
    if (!parsed)
        throw postgres::Error(error_codes::kCorruptSummary, "invalid input for type telemetry.summary",
                              "The text is " + postgres::presentable(model::quoted_for_message(sent)) + ".",
                              "The text form is what a cast of a summary to text gives.");
    return summary::datum_of(*parsed);
}

TELEMETRY_FUNCTION(telemetry_print_summary) {
    const std::string printed = summary::to_text(summary::statistics_argument(fcinfo));
    return postgres::guarded([&printed] { return CStringGetDatum(pnstrdup(printed.data(), printed.size())); });
}

// The binary form is the version and then the members in the order of the struct, in network byte order.
TELEMETRY_FUNCTION(telemetry_send_summary) {
    const summary::Statistics& statistics = summary::statistics_argument(fcinfo);
    return postgres::guarded([&statistics] {
        StringInfoData buffer;
        pq_begintypsend(&buffer);
        pq_sendbyte(&buffer, summary::kStoredVersion);
        pq_sendint64(&buffer, static_cast<uint64>(statistics.count));
        for (const double value :
             {statistics.mean, statistics.m2, statistics.min, statistics.max, statistics.first_value, statistics.last_value})
            pq_sendfloat8(&buffer, value);
        pq_sendint64(&buffer, static_cast<uint64>(statistics.first_at));
        pq_sendint64(&buffer, static_cast<uint64>(statistics.last_at));
        return PointerGetDatum(pq_endtypsend(&buffer));
    });
}

TELEMETRY_FUNCTION(telemetry_receive_summary) {
    auto* message = reinterpret_cast<StringInfo>(PG_GETARG_POINTER(0));
    summary::Statistics statistics;
    const bool is_known = postgres::guarded([message, &statistics] {
        if (pq_getmsgbyte(message) != summary::kStoredVersion) return false;
        statistics.count = pq_getmsgint64(message);
        for (double* value : {&statistics.mean, &statistics.m2, &statistics.min, &statistics.max, &statistics.first_value,
                              &statistics.last_value})
            *value = pq_getmsgfloat8(message);
        statistics.first_at = pq_getmsgint64(message);
        statistics.last_at = pq_getmsgint64(message);
        return true;
    });
    if (!is_known)
        throw postgres::Error(error_codes::kCorruptSummary, "unknown version of a binary telemetry.summary",
                              "This library reads version " + std::to_string(summary::kStoredVersion) + ".",
                              "Send the summary as text.");
    if (!summary::is_consistent(statistics))
        throw postgres::Error(error_codes::kCorruptSummary, "invalid binary telemetry.summary",
                              "No set of values has these statistics.", "Send what the function summary_send gave.");
    return summary::datum_of(statistics);
}
