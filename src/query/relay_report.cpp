// SQL functions relay_report and current_place, for the view telemetry.relay_status.
#include "postgres/entry_point.hpp"
#include "postgres/error.hpp"
#include "postgres/sql_function.hpp"
#include "postgres/text.hpp"
#include "runtime/installed.hpp"
#include "runtime/presence.hpp"
#include "runtime/relay_report.hpp"
#include "runtime/settings.hpp"

#include "postgres/pg.hpp"

namespace query {
namespace {

// P. Text, or NULL for an empty one.
struct ShownText {
    explicit ShownText(const char* shown) : value(postgres::text_datum(std::string_view(shown))), is_null(*shown == '\0') {}
    Datum value;
    bool is_null;
};

// P.
void put_report(ReturnSetInfo* result, runtime::RelaySink sink, const char* url, int pid) {
    runtime::SinkReport report = runtime::sink_report(sink);
    if (pid == 0) report.condition = runtime::SinkCondition::kStopped;
    const ShownText server(report.server), note(report.note), phase(report.phase), error(report.error.text);
    Datum values[] = {postgres::text_datum(std::string_view(runtime::name_of(sink))),
                      postgres::text_datum(std::string_view(runtime::is_set(url) ? runtime::name_of(report.condition) : "off")),
                      TimestampTzGetDatum(report.since),
                      server.value,
                      UInt64GetDatum(report.sent),
                      UInt64GetDatum(report.acknowledged),
                      UInt64GetDatum(report.duplicates),
                      UInt64GetDatum(report.failures),
                      UInt64GetDatum(report.late_repeats),
                      UInt64GetDatum(report.pending),
                      note.value,
                      phase.value,
                      error.value,
                      TimestampTzGetDatum(report.error.at),
                      Int32GetDatum(pid)};
    bool nulls[] = {
        false,        false,         report.since == 0, server.is_null,       false,   false, false, false, false, false,
        note.is_null, phase.is_null, error.is_null,     report.error.at == 0, pid == 0};
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

}  // namespace
}  // namespace query

TELEMETRY_FUNCTION(telemetry_get_relay_report) {
    const int pid = runtime::worker_presence().status(runtime::Role::kRelay).pid;
    postgres::guarded([fcinfo, pid] {
        InitMaterializedSRF(fcinfo, 0);
        auto* result = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
        query::put_report(result, runtime::RelaySink::kNats, runtime::settings().nats_url, pid);
        query::put_report(result, runtime::RelaySink::kRedis, runtime::settings().redis_url, pid);
    });
    PG_RETURN_NULL();
}

TELEMETRY_FUNCTION(telemetry_get_current_place) {
    const runtime::LogPlace place = runtime::current_place();
    return postgres::guarded([fcinfo, &place] {
        Datum values[] = {UInt64GetDatum(place.system_identifier), ObjectIdGetDatum(place.database),
                          ObjectIdGetDatum(place.log), Int32GetDatum(static_cast<std::int32_t>(place.timeline))};
        bool nulls[lengthof(values)] = {};
        return postgres::row_of(fcinfo, values, nulls);
    });
}
