// The table itself. Times are given as ISO 8601 in UTC; the worker's session has that time zone.
#include <iterator>

#include "http/route.hpp"

namespace http {
namespace {

// A time as each answer has it: 2026-01-02T03:04:05.000006Z.
#define IN_UTC(time) "to_char(" time " AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"

#define STATISTICS \
    IN_UTC("s.first_seen") " AS first_seen, " IN_UTC("s.last_seen") " AS last_seen, " IN_UTC("s.last_received_at")             \
        " AS last_received_at, s.sample_count, s.avg_temperature, s.min_temperature, s.max_temperature, s.stddev_temperature,"  \
        " s.last_temperature, s.avg_humidity, s.min_humidity, s.max_humidity, s.stddev_humidity, s.last_humidity"

#define SPAN_BEGIN "COALESCE($4, now() - interval '1 day')"
#define SPAN_END "COALESCE($5, now())"

// Up to when an answer from the log itself is complete. A standby lags, so there it is not known.
#define NOW_COMPLETE "CASE WHEN pg_is_in_recovery() THEN NULL ELSE now() END"

using enum ParameterType;

constexpr RouteParameter kDeviceStatsParameters[] = {{"device_id", kText, "The id of the device.", {}, true}};
// The members are those of the native answer (read_model/device_reports.hpp).
constexpr const char* kDeviceStatsLive =
    "SELECT row_to_json(r)::text, " NOW_COMPLETE " FROM (SELECT s.device_id, s.region, " STATISTICS R"sql(,
        COALESCE((SELECT json_object_agg(m.metric, json_build_object('sample_count', m.sample_count, 'avg', m.avg, 'min', m.min, 'max', m.max,
                                                                      'stddev', m.stddev, 'last', m.last_value))
                  FROM telemetry.device_metric_stats_live m
                  WHERE m.device_id = $1 AND m.metric NOT IN ('temperature', 'humidity')), '{}') AS metrics
    FROM telemetry.device_stats_live s WHERE s.device_id = $1) AS r)sql";

constexpr RouteParameter kDevicesParameters[] = {
    {"limit", kInteger, "At most so many devices, from 1 to 1000.", "100"},
    {"after", kText, "Only devices after this one, in the order of their ids."},
    {"region", kText, "Only devices of this region."},
    {"state", kText, "Only devices in this state: online, late, offline, never_seen or unknown."},
    {"prefix", kText, "Only devices whose id begins so."}};
constexpr const char* kDevices = R"sql(
    SELECT json_build_object('devices', COALESCE(json_agg(row_to_json(r) ORDER BY r.device_id), '[]'),
                             'next', CASE WHEN count(*) = LEAST(GREATEST($1, 1), 1000) THEN max(r.device_id) END)::text,
           telemetry.as_of('device')
    FROM (SELECT l.device_id, l.region, l.state, )sql" IN_UTC("l.last_received_at") " AS last_received_at, " IN_UTC(
    "l.last_measured_at") R"sql( AS last_measured_at,
                 s.sample_count, s.last_temperature, s.last_humidity, extract(epoch FROM l.overdue_by)::float8 AS overdue_seconds
          FROM telemetry.device_liveness l LEFT JOIN telemetry.device_stats s ON s.device_id = l.device_id
          WHERE l.device_id > COALESCE($2, '') AND ($3 IS NULL OR l.region = $3) AND ($4 IS NULL OR l.state = $4)
            AND ($5 IS NULL OR starts_with(l.device_id, $5))
          ORDER BY l.device_id LIMIT LEAST(GREATEST($1, 1), 1000)) AS r)sql";

constexpr RouteParameter kRegionsParameters[] = {
    {"limit", kInteger, "At most so many regions, from 1 to 1000.", "100"},
    {"after", kText, "Only regions after this one, in the order of their names. Readings without a region come last."}};
// The row without a region is the last one, so no page follows it.
constexpr const char* kRegions =
    R"sql(
    SELECT json_build_object('regions', COALESCE(json_agg(row_to_json(r) ORDER BY r.region), '[]'),
                             'next', CASE WHEN count(r.region) = LEAST(GREATEST($1, 1), 1000) THEN max(r.region) END)::text, telemetry.as_of('region')
    FROM (SELECT s.region, )sql" STATISTICS
    R"sql( FROM telemetry.region_stats s WHERE $2 IS NULL OR s.region > $2 OR s.region IS NULL
          ORDER BY s.region LIMIT LEAST(GREATEST($1, 1), 1000)) AS r)sql";
constexpr const char* kRegionsLive =
    R"sql(
    SELECT json_build_object('regions', COALESCE(json_agg(row_to_json(r) ORDER BY r.region), '[]'),
                             'next', CASE WHEN count(r.region) = LEAST(GREATEST($1, 1), 1000) THEN max(r.region) END)::text, )sql" NOW_COMPLETE
    R"sql(
    FROM (SELECT s.region, )sql" STATISTICS
    R"sql( FROM telemetry.region_stats_live s WHERE $2 IS NULL OR s.region > $2 OR s.region IS NULL
          ORDER BY s.region LIMIT LEAST(GREATEST($1, 1), 1000)) AS r)sql";

constexpr const char* kLiveness = R"sql(
    SELECT json_build_object('online', count(*) FILTER (WHERE l.state = 'online'), 'late', count(*) FILTER (WHERE l.state = 'late'),
                             'offline', count(*) FILTER (WHERE l.state = 'offline'), 'never_seen', count(*) FILTER (WHERE l.state = 'never_seen'),
                             'unknown', count(*) FILTER (WHERE l.state = 'unknown'))::text, telemetry.as_of('device')
    FROM telemetry.device_liveness l)sql";

constexpr RouteParameter kSeriesParameters[] = {{"device", kText, "The device."},
                                                {"region", kText, "The region instead; empty for readings without one."},
                                                {"metric", kText, "The metric.", "temperature"},
                                                {"from", kTime, "Where the span begins; a day ago where it is not given."},
                                                {"to", kTime, "Where the span ends; now where it is not given."},
                                                {"points", kInteger, "At most so many points.", "500"},
                                                {"statistic", kText, "avg, or increase for a counter of a device.", "avg"},
                                                {"time_zone", kText, "Whose days count.", "UTC"}};
constexpr const char* kSeries = R"sql(
    SELECT json_build_object('metric', $3, 'from', )sql" IN_UTC(SPAN_BEGIN) ", 'to', " IN_UTC(
    SPAN_END) R"sql(,
               'time', COALESCE(json_agg(extract(epoch FROM s.time)::float8 ORDER BY s.time), '[]'), 'value', COALESCE(json_agg(s.value ORDER BY s.time), '[]'),
               'min', COALESCE(json_agg(s.min ORDER BY s.time), '[]'), 'max', COALESCE(json_agg(s.max ORDER BY s.time), '[]'))::text, )sql" NOW_COMPLETE
              R"sql(
    FROM (SELECT d.time, d.value, d.min, d.max FROM telemetry.series($1, $3, )sql" SPAN_BEGIN ", " SPAN_END
              R"sql(, $6, 'minmax', $8, $7) d WHERE $1 IS NOT NULL
          UNION ALL
          SELECT g.time, g.value, g.min, g.max FROM telemetry.region_series(NULLIF($2, ''), $3, )sql" SPAN_BEGIN ", " SPAN_END
              R"sql(, $6, 'minmax', $8) g WHERE $1 IS NULL) AS s)sql";

constexpr RouteParameter kQuantilesParameters[] = {{"device", kText, "The device."},
                                                   {"region", kText, "The region instead; empty for readings without one."},
                                                   {"metric", kText, "The metric.", "temperature"},
                                                   {"from", kTime, "Where the span begins; a day ago where it is not given."},
                                                   {"to", kTime, "Where the span ends; now where it is not given."}};
constexpr const char* kQuantiles = R"sql(
    SELECT json_build_object('metric', $3, 'time', COALESCE(json_agg(extract(epoch FROM s.time)::float8 ORDER BY s.time), '[]'),
               'sample_count', COALESCE(json_agg(s.sample_count ORDER BY s.time), '[]'), 'avg', COALESCE(json_agg(s.avg ORDER BY s.time), '[]'),
               'p50', COALESCE(json_agg(s.p50 ORDER BY s.time), '[]'), 'p95', COALESCE(json_agg(s.p95 ORDER BY s.time), '[]'),
               'p99', COALESCE(json_agg(s.p99 ORDER BY s.time), '[]'))::text, min(s.as_of)
    FROM (SELECT d.time, d.sample_count, d.avg, d.p50, d.p95, d.p99, d.as_of FROM telemetry.device_stats_1h d
          WHERE d.device_id = $1 AND d.metric = $3 AND d.time >= date_trunc('hour', )sql" SPAN_BEGIN
                                   R"sql() AND d.time < )sql" SPAN_END R"sql(
          UNION ALL
          SELECT g.time, g.sample_count, g.avg, g.p50, g.p95, g.p99, g.as_of FROM telemetry.region_stats_1h g
          WHERE $1 IS NULL AND g.region IS NOT DISTINCT FROM NULLIF($2, '') AND g.metric = $3 AND g.time >= date_trunc('hour', )sql" SPAN_BEGIN
                                   R"sql() AND g.time < )sql" SPAN_END R"sql() AS s)sql";

constexpr const char* kStatus = R"sql(
    SELECT json_build_object(
               'worker', (SELECT json_build_object('state', w.state, 'pid', w.pid, 'since', )sql" IN_UTC("w.since") R"sql(, 'last_error', w.last_error) FROM telemetry.worker_status() w),
               'projections', (SELECT COALESCE(json_agg(json_build_object('projection', p.projection, 'state', p.state, 'applied', p.applied, 'lag_events', p.lag_events,
                                        'lag_seconds', p.lag_seconds, 'as_of', )sql" IN_UTC("p.as_of") R"sql(, 'last_error', p.last_error) ORDER BY p.projection), '[]') FROM telemetry.projection_status p),
               'pipeline', (SELECT COALESCE(json_agg(json_build_object('stage', t.stage, 'state', t.state, 'events', t.events, 'waiting', t.waiting, 'lag_seconds', t.lag_seconds)), '[]')
                            FROM telemetry.pipeline_status t),
               'relay', (SELECT COALESCE(json_agg(json_build_object('sink', y.sink, 'state', y.state, 'since', )sql" IN_UTC("y.since") R"sql(, 'pending', y.pending, 'last_error', y.last_error) ORDER BY y.sink), '[]')
                         FROM telemetry.relay_status y),
               'ingest', (SELECT json_build_object('accepted', i.accepted, 'duplicates', i.duplicates, 'conflicts', i.conflicts, 'rejected', i.rejected, 'rolled_back', i.rolled_back,
                                    'stats_since', )sql" IN_UTC("i.stats_since") ") FROM telemetry.stat_ingest i))::text, " NOW_COMPLETE;

constexpr RouteParameter kRejectedParameters[] = {{"limit", kInteger, "At most so many readings, from 1 to 1000.", "50"}};
constexpr const char* kRejected = R"sql(
    SELECT json_build_object('rejected', COALESCE((SELECT json_agg(row_to_json(r) ORDER BY r.rejected_id DESC) FROM (
                   SELECT q.rejected_id, )sql" IN_UTC(
    "COALESCE(q.last_received_at, q.received_at)") R"sql( AS received_at, q.device_id, q.sqlstate, q.reason, q.deliveries AS times
                   FROM telemetry.rejected_readings q ORDER BY q.rejected_id DESC LIMIT LEAST(GREATEST($1, 1), 1000)) AS r), '[]'),
               'by_sqlstate', COALESCE((SELECT json_object_agg(c.sqlstate, c.count) FROM (
                   SELECT n.sqlstate, count(*) FROM (SELECT q.sqlstate FROM telemetry.rejected_readings q ORDER BY q.rejected_id DESC LIMIT 10000) AS n GROUP BY n.sqlstate) AS c), '{}'))::text, )sql" NOW_COMPLETE;

constexpr RouteParameter kEventsParameters[] = {
    {"device", kText, "Only events of this device."},
    {"region", kText, "Only events of this region."},
    {"after", kText, "Where to go on: the id of an event of the stream, for clients that cannot send Last-Event-ID."}};
constexpr RouteParameter kIngestParameters[] = {
    {"time_unit", kText, "The unit of measured_at where it is a number: s, ms, us or ns."}};

constexpr Route kRoutes[] = {
    {.method = Method::kGet,
     .path = "/",
     .kind = RouteKind::kPage,
     .summary = "The fleet at a glance, a page for people.",
     .content_type = "text/html"},
    {.method = Method::kGet, .path = "/openapi.json", .kind = RouteKind::kDescription, .summary = "This description."},
    {.method = Method::kGet,
     .path = "/healthz",
     .kind = RouteKind::kHealth,
     .summary = "The worst state of telemetry.health(): ok, warning or error. For an administrator also each item."},
    {.method = Method::kGet,
     .path = "/metrics",
     .kind = RouteKind::kQuery,
     .summary = "Figures of the installation for Prometheus.",
     .statement = "SELECT telemetry.open_metrics(), NULL::timestamptz",
     .content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8"},
    {.method = Method::kGet,
     .path = "/devices/{device_id}/stats",
     .kind = RouteKind::kDeviceStats,
     .summary = "The statistics of a device.",
     .parameters = kDeviceStatsParameters,
     .live_statement = kDeviceStatsLive,
     .projection = "device"},
    {.method = Method::kGet,
     .path = "/devices",
     .kind = RouteKind::kQuery,
     .summary = "The devices, and which of them are online.",
     .parameters = kDevicesParameters,
     .statement = kDevices,
     .projection = "device"},
    {.method = Method::kGet,
     .path = "/regions",
     .kind = RouteKind::kQuery,
     .summary = "The statistics of regions.",
     .parameters = kRegionsParameters,
     .statement = kRegions,
     .live_statement = kRegionsLive,
     .projection = "region"},
    {.method = Method::kGet,
     .path = "/liveness",
     .kind = RouteKind::kQuery,
     .summary = "How many devices are online, late and offline.",
     .statement = kLiveness,
     .projection = "device"},
    {.method = Method::kGet,
     .path = "/series",
     .kind = RouteKind::kQuery,
     .summary = "A metric over time, for a chart. It is always exact.",
     .parameters = kSeriesParameters,
     .statement = kSeries,
     .needs_one_of = "device,region"},
    {.method = Method::kGet,
     .path = "/quantiles",
     .kind = RouteKind::kQuery,
     .summary = "Mean and quantiles of a metric by hours (UTC).",
     .parameters = kQuantilesParameters,
     .statement = kQuantiles,
     .needs_one_of = "device,region"},
    {.method = Method::kGet,
     .path = "/status",
     .kind = RouteKind::kQuery,
     .summary = "How worker, projections, pipeline and relay stand.",
     .statement = kStatus},
    {.method = Method::kGet,
     .path = "/rejected",
     .kind = RouteKind::kQuery,
     .summary = "The newest readings that were refused, for administrators.",
     .parameters = kRejectedParameters,
     .statement = kRejected},
    {.method = Method::kGet,
     .path = "/events",
     .kind = RouteKind::kEvents,
     .summary = "The events as they are applied, as server-sent events.",
     .parameters = kEventsParameters,
     .content_type = "text/event-stream"},
    {.method = Method::kPost,
     .path = "/telemetry",
     .kind = RouteKind::kIngest,
     .summary = "Stores readings: one object, an array, or one object a line.",
     .parameters = kIngestParameters},
};

}  // namespace

std::span<const Route> routes() noexcept {
    return kRoutes;
}

}  // namespace http
