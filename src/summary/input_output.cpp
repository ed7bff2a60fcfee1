// The input and output functions of the type telemetry.summary, for its text form and its binary form.
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "error_codes.hpp"
#include "model/name_text.hpp"
#include "postgres/encoding.hpp"
#include "postgres/entry_point.hpp"
#include "postgres/error.hpp"
#include "summary/argument.hpp"
#include "summary/sketch_bytes.hpp"
#include "summary/stored_summary.hpp"
#include "summary/summary_text.hpp"

#include "postgres/pg.hpp"

namespace summary {
namespace {

Datum datum_of(const Summary& summary) {
    return postgres::guarded([&summary] {
        const std::span<const Bin> bins = summary.sketch ? *summary.sketch : std::span<const Bin>();
        return new_stored(
            {summary.statistics, summary.counter ? &*summary.counter : nullptr, summary.sketch ? &bins : nullptr});
    });
}

}  // namespace
}  // namespace summary

TELEMETRY_FUNCTION(telemetry_parse_summary) {
    const char* sent = PG_GETARG_CSTRING(0);
    const std::optional<summary::Summary> parsed = summary::parse_summary(sent);
    if (!parsed)
        throw postgres::Error(error_codes::kCorruptSummary, "invalid input for type telemetry.summary",
                              "The text is " + postgres::presentable(model::quoted_for_message(sent)) + ".",
                              "The text form is what a cast of a summary to text gives.");
    return summary::datum_of(*parsed);
}

TELEMETRY_FUNCTION(telemetry_print_summary) {
    const std::string printed = summary::to_text(summary::summary_argument(fcinfo));
    return postgres::guarded([&printed] { return CStringGetDatum(pnstrdup(printed.data(), printed.size())); });
}

// The binary form is the version and then the members of the statistics in the order of the struct, in network byte order. In
// version 3 those of the counter follow. The stored form of a sketch follows, and ends with the message.
TELEMETRY_FUNCTION(telemetry_send_summary) {
    const summary::Summary sent = summary::summary_argument(fcinfo);
    const std::vector<summary::Bin> no_bins;
    const std::vector<summary::Bin>& bins = sent.sketch ? *sent.sketch : no_bins;
    std::vector<std::uint8_t> sketch(summary::size_of_bytes(bins));
    summary::write_bytes(bins, sketch.data());
    return postgres::guarded([&sent, &sketch] {
        const summary::Statistics& statistics = sent.statistics;
        StringInfoData buffer;
        pq_begintypsend(&buffer);
        pq_sendbyte(&buffer, summary::version_of(sent));
        pq_sendint64(&buffer, static_cast<uint64>(statistics.count));
        for (const double value :
             {statistics.mean, statistics.m2, statistics.min, statistics.max, statistics.first_value, statistics.last_value})
            pq_sendfloat8(&buffer, value);
        pq_sendint64(&buffer, static_cast<uint64>(statistics.first_at));
        pq_sendint64(&buffer, static_cast<uint64>(statistics.last_at));
        if (sent.counter) {
            pq_sendint64(&buffer, static_cast<uint64>(sent.counter->resets));
            pq_sendfloat8(&buffer, sent.counter->fallen_from);
            pq_sendbyte(&buffer, sent.counter->overlaps ? 1 : 0);
        }
        pq_sendbytes(&buffer, reinterpret_cast<const char*>(sketch.data()), static_cast<int>(sketch.size()));
        return PointerGetDatum(pq_endtypsend(&buffer));
    });
}

TELEMETRY_FUNCTION(telemetry_receive_summary) {
    auto* message = reinterpret_cast<StringInfo>(PG_GETARG_POINTER(0));
    summary::Summary received;
    const int version = postgres::guarded([message] { return pq_getmsgbyte(message); });
    if (version < summary::kPlainVersion || version > summary::kVersionOfCounter)
        throw postgres::Error(error_codes::kCorruptSummary, "unknown version of a binary telemetry.summary",
                              "This library reads versions " + std::to_string(summary::kPlainVersion) + " to " +
                                  std::to_string(summary::kVersionOfCounter) + ".",
                              "Send the summary as text.");
    postgres::guarded([message, &statistics = received.statistics] {
        statistics.count = pq_getmsgint64(message);
        for (double* value : {&statistics.mean, &statistics.m2, &statistics.min, &statistics.max, &statistics.first_value,
                              &statistics.last_value})
            *value = pq_getmsgfloat8(message);
        statistics.first_at = pq_getmsgint64(message);
        statistics.last_at = pq_getmsgint64(message);
    });
    bool is_good = true;
    if (version == summary::kVersionOfCounter) {
        const int overlaps = postgres::guarded([message, &counter = received.counter.emplace()] {
            counter.resets = pq_getmsgint64(message);
            counter.fallen_from = pq_getmsgfloat8(message);
            return pq_getmsgbyte(message);
        });
        is_good = overlaps == 0 || overlaps == 1;
        received.counter->overlaps = overlaps == 1;
    }
    const auto size = static_cast<std::size_t>(message->len - message->cursor);
    if (version == summary::kVersionWithSketch || (version == summary::kVersionOfCounter && size > 0)) {
        const auto* bytes = reinterpret_cast<const std::uint8_t*>(message->data + message->cursor);
        message->cursor = message->len;
        received.sketch = summary::bins_from({bytes, size});
        is_good = is_good && received.sketch.has_value();
    }
    if (!is_good || !summary::is_consistent(received))
        throw postgres::Error(error_codes::kCorruptSummary, "invalid binary telemetry.summary",
                              "No set of values has these statistics.", "Send what the function summary_send gave.");
    return summary::datum_of(received);
}
