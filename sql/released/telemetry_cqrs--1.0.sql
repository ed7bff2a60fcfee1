\echo Use "CREATE EXTENSION telemetry_cqrs" to load this file. \quit

-- Plain CREATE SCHEMA: a schema of this name that is not ours makes CREATE EXTENSION fail with 42P06 instead of being taken over.
CREATE SCHEMA telemetry;
COMMENT ON SCHEMA telemetry IS 'telemetry_cqrs: commands in, event log, read models out. Start with telemetry.ingest_telemetry() and the view telemetry.device_stats.';
-- Types of the public surface.

CREATE TYPE telemetry.receipt AS (
    event_id    bigint,
    status      text,
    received_at timestamptz,
    token       text
);
COMMENT ON TYPE telemetry.receipt IS 'Answer to one reading. status: accepted | duplicate; event_id and received_at are those of the stored event (of the first delivery for a duplicate); token names the transaction that stored it.';

CREATE TYPE telemetry.batch_receipt AS (
    received       integer,
    accepted       integer,
    duplicates     integer,
    conflicts      integer,
    rejected       integer,
    first_event_id bigint,
    last_event_id  bigint,
    token          text
);
COMMENT ON TYPE telemetry.batch_receipt IS 'Answer to a batch: received = accepted + duplicates + conflicts + rejected. first_event_id and last_event_id span the accepted readings (NULL if none; gaps are possible); token names the transaction that stored them.';

CREATE TYPE telemetry.summary;

CREATE FUNCTION telemetry.summary_in(cstring) RETURNS telemetry.summary
    AS 'MODULE_PATHNAME', 'telemetry_parse_summary' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION telemetry.summary_out(telemetry.summary) RETURNS cstring
    AS 'MODULE_PATHNAME', 'telemetry_print_summary' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION telemetry.summary_recv(internal) RETURNS telemetry.summary
    AS 'MODULE_PATHNAME', 'telemetry_receive_summary' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION telemetry.summary_send(telemetry.summary) RETURNS bytea
    AS 'MODULE_PATHNAME', 'telemetry_send_summary' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE TYPE telemetry.summary (
    INPUT = telemetry.summary_in,
    OUTPUT = telemetry.summary_out,
    RECEIVE = telemetry.summary_recv,
    SEND = telemetry.summary_send,
    INTERNALLENGTH = VARIABLE,
    ALIGNMENT = double,
    STORAGE = plain
);
COMMENT ON TYPE telemetry.summary IS 'Mergeable statistics of one metric: count, mean, M2 (sum of squared deviations), min, max, first and last value by measured time. Binary form starts with a version.';
COMMENT ON FUNCTION telemetry.summary_in(cstring) IS 'Input function of telemetry.summary; TC302 on malformed text.';
COMMENT ON FUNCTION telemetry.summary_out(telemetry.summary) IS 'Output function of telemetry.summary: JSON whose numbers read back bit for bit.';
COMMENT ON FUNCTION telemetry.summary_recv(internal) IS 'Binary input function of telemetry.summary; TC302 on an unknown version.';
COMMENT ON FUNCTION telemetry.summary_send(telemetry.summary) IS 'Binary output function of telemetry.summary.';
-- The event log: parent, first segment, and what names the installation. Rows come by the native append only.

CREATE TABLE telemetry.installation (
    scope               text NOT NULL CHECK (scope = 'key'),
    fingerprint_version smallint NOT NULL,
    secret              bytea NOT NULL CHECK (length(secret) = 16),
    created_at          timestamptz NOT NULL
);
COMMENT ON TABLE telemetry.installation IS 'What decides the identity of a reading: fixed with the first event, carried along by dumps. Without a key: commands that are first at the same time each write the same row. Internal.';

CREATE TABLE telemetry.epoch (
    epoch             integer NOT NULL,
    system_identifier bigint NOT NULL,
    database_oid      bigint NOT NULL,
    log_oid           bigint NOT NULL,
    timeline          integer NOT NULL,
    opened_xid        xid8 NOT NULL,
    opened_at         timestamptz NOT NULL
);
COMMENT ON TABLE telemetry.epoch IS 'One row for each place (server, database, log table, timeline) this log has been written in: a log restored from a dump is at another place even in its old database. Transaction numbers are comparable inside an epoch only. Without a key: commands that are first at the same time each write the same row. Internal.';

CREATE SEQUENCE telemetry.event_id_seq AS bigint CACHE 64;
COMMENT ON SEQUENCE telemetry.event_id_seq IS 'Identity of events. Gaps are normal; the order is not the order of commits. Internal.';

CREATE TABLE telemetry.event (
    event_id        bigint NOT NULL,
    xid             xid8 NOT NULL,
    measured_at     timestamptz NOT NULL,
    received_at     timestamptz NOT NULL,
    temperature     double precision,
    humidity        double precision,
    request_digest  bigint,
    fingerprint     uuid,
    epoch           integer NOT NULL,
    version         smallint NOT NULL,
    type            text COLLATE "C" NOT NULL,
    device_id       text COLLATE "C" NOT NULL,
    region          text COLLATE "C",
    idempotency_key text COLLATE "C",
    metrics         jsonb,
    CONSTRAINT event_rows_live_in_segments CHECK (false) NO INHERIT
);
COMMENT ON TABLE telemetry.event IS 'Parent of the segments of the event log, which is outbox, audit trail and idempotency ledger in one. Insert-only; read it through telemetry.measurements and telemetry.events.';

CREATE TABLE telemetry.event_1 () INHERITS (telemetry.event);
COMMENT ON TABLE telemetry.event_1 IS 'First segment of the event log. Insert-only.';
CREATE UNIQUE INDEX event_1_fingerprint ON telemetry.event_1 (fingerprint);
CREATE INDEX event_1_xid_event_id ON telemetry.event_1 (xid, event_id);
-- Only whole segments ever go, so vacuum has nothing to do but freeze and set the visibility map.
ALTER TABLE telemetry.event_1 SET (autovacuum_vacuum_insert_scale_factor = 0.1, autovacuum_analyze_scale_factor = 0.05);

CREATE FUNCTION telemetry.refuse_change() RETURNS trigger
    AS 'MODULE_PATHNAME', 'telemetry_refuse_change' LANGUAGE C;
COMMENT ON FUNCTION telemetry.refuse_change() IS 'Trigger function: refuses UPDATE, DELETE and TRUNCATE of the event log with TC201. Internal.';

CREATE TRIGGER insert_only BEFORE UPDATE OR DELETE OR TRUNCATE ON telemetry.event
    FOR EACH STATEMENT EXECUTE FUNCTION telemetry.refuse_change();
ALTER TABLE telemetry.event ENABLE ALWAYS TRIGGER insert_only;
CREATE TRIGGER insert_only BEFORE UPDATE OR DELETE OR TRUNCATE ON telemetry.event_1
    FOR EACH STATEMENT EXECUTE FUNCTION telemetry.refuse_change();
ALTER TABLE telemetry.event_1 ENABLE ALWAYS TRIGGER insert_only;
-- A statement on the parent fires no statement triggers of the children; row triggers it does fire.
CREATE TRIGGER insert_only_rows BEFORE UPDATE OR DELETE ON telemetry.event_1
    FOR EACH ROW EXECUTE FUNCTION telemetry.refuse_change();
ALTER TABLE telemetry.event_1 ENABLE ALWAYS TRIGGER insert_only_rows;

CREATE TABLE telemetry.device (
    device_id         text COLLATE "C" PRIMARY KEY,
    region            text COLLATE "C",
    status            text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'retired')),
    expected_interval interval,
    attributes        jsonb,
    registered_at     timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE telemetry.device IS 'Registry of devices. Unknown devices are registered with their first accepted reading when telemetry_cqrs.auto_register is on.';

CREATE FUNCTION telemetry.announce_registry_change() RETURNS trigger
    AS 'MODULE_PATHNAME', 'telemetry_announce_registry_change' LANGUAGE C;
COMMENT ON FUNCTION telemetry.announce_registry_change() IS 'Trigger function: lets every session forget what it remembers of the registry. Internal.';
CREATE TRIGGER announce_change AFTER UPDATE OR DELETE OR TRUNCATE ON telemetry.device
    FOR EACH STATEMENT EXECUTE FUNCTION telemetry.announce_registry_change();
ALTER TABLE telemetry.device ENABLE ALWAYS TRIGGER announce_change;

CREATE SEQUENCE telemetry.rejected_id_seq AS bigint;
COMMENT ON SEQUENCE telemetry.rejected_id_seq IS 'Identity of rejected readings. Internal.';
CREATE TABLE telemetry.rejected_readings (
    rejected_id bigint PRIMARY KEY DEFAULT nextval('telemetry.rejected_id_seq'),
    sqlstate    text NOT NULL,
    reason      text NOT NULL,
    payload     jsonb NOT NULL,
    received_at timestamptz NOT NULL
);
COMMENT ON TABLE telemetry.rejected_readings IS 'What a batch refused: SQLSTATE, reason, and the reading as sent (numbers that JSON cannot hold as text), so that it can be sent again.';
-- Read side: batches, checkpoints and the state of the projections. Written by the holder of the projector's lock only.

CREATE TABLE telemetry.batch (
    batch_id              bigint PRIMARY KEY,
    epoch                 integer NOT NULL,
    from_snapshot         pg_snapshot NOT NULL,
    from_partial_xid      xid8,
    from_partial_event_id bigint,
    to_snapshot           pg_snapshot NOT NULL,
    to_partial_xid        xid8,
    to_partial_event_id   bigint,
    events                integer NOT NULL,
    created_at            timestamptz NOT NULL
);
COMMENT ON TABLE telemetry.batch IS 'Batches of the projector: the events visible at "to" and not at "from". A partial xid says that of this one transaction the events up to the event_id belong to the near side as well. read_events(batch_id) gives the events.';

CREATE TABLE telemetry.checkpoint (
    consumer         text COLLATE "C" NOT NULL,
    epoch            integer NOT NULL,
    snapshot         pg_snapshot NOT NULL,
    partial_xid      xid8,
    partial_event_id bigint,
    applied          bigint NOT NULL,
    last_batch_id    bigint NOT NULL,
    drained          boolean NOT NULL DEFAULT false,
    as_of            timestamptz NOT NULL,
    PRIMARY KEY (consumer, epoch)
) WITH (fillfactor = 20);
COMMENT ON TABLE telemetry.checkpoint IS 'How far each consumer of the event log has come in each epoch; moved in the transaction that writes its state. consumer: batch (telemetry.batch itself) or a projection. Internal.';

CREATE TABLE telemetry.projection_failure (
    projection text COLLATE "C" PRIMARY KEY,
    sqlstate   text NOT NULL,
    message    text NOT NULL,
    failed_at  timestamptz NOT NULL,
    failures   bigint NOT NULL
);
COMMENT ON TABLE telemetry.projection_failure IS 'Last failure of each projection; shown by telemetry.projection_status. Internal.';

CREATE TABLE telemetry.device_state (
    device_id        text COLLATE "C" PRIMARY KEY,
    sample_count     bigint NOT NULL,
    first_seen       timestamptz NOT NULL,
    last_seen        timestamptz NOT NULL,
    last_received_at timestamptz NOT NULL,
    temperature      telemetry.summary,
    humidity         telemetry.summary,
    region           text COLLATE "C"
) WITH (fillfactor = 50);
COMMENT ON TABLE telemetry.device_state IS 'State of the projection "device": a row a device. Internal; query telemetry.device_stats.';

CREATE TABLE telemetry.device_metric_state (
    device_id text COLLATE "C" NOT NULL,
    metric    text COLLATE "C" NOT NULL,
    summary   telemetry.summary NOT NULL,
    PRIMARY KEY (device_id, metric)
) WITH (fillfactor = 50);
COMMENT ON TABLE telemetry.device_metric_state IS 'State of the projection "device": further metrics. Internal; query telemetry.device_metric_stats.';

CREATE TABLE telemetry.region_state (
    region           text COLLATE "C" PRIMARY KEY,
    sample_count     bigint NOT NULL,
    first_seen       timestamptz NOT NULL,
    last_seen        timestamptz NOT NULL,
    last_received_at timestamptz NOT NULL,
    temperature      telemetry.summary,
    humidity         telemetry.summary
) WITH (fillfactor = 50);
COMMENT ON TABLE telemetry.region_state IS 'State of the projection "region": a row a region, '''' for readings without one. Internal; query telemetry.region_stats.';

CREATE TABLE telemetry.region_metric_state (
    region  text COLLATE "C" NOT NULL,
    metric  text COLLATE "C" NOT NULL,
    summary telemetry.summary NOT NULL,
    PRIMARY KEY (region, metric)
) WITH (fillfactor = 50);
COMMENT ON TABLE telemetry.region_metric_state IS 'State of the projection "region": further metrics. Internal; query telemetry.region_metric_stats.';
-- What a dump must carry: every table and sequence with user data.
SELECT pg_catalog.pg_extension_config_dump('telemetry.installation', '');
SELECT pg_catalog.pg_extension_config_dump('telemetry.epoch', '');
SELECT pg_catalog.pg_extension_config_dump('telemetry.event_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('telemetry.event_1', '');
SELECT pg_catalog.pg_extension_config_dump('telemetry.device', '');
SELECT pg_catalog.pg_extension_config_dump('telemetry.rejected_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('telemetry.rejected_readings', '');
SELECT pg_catalog.pg_extension_config_dump('telemetry.batch', '');
SELECT pg_catalog.pg_extension_config_dump('telemetry.checkpoint', '');
SELECT pg_catalog.pg_extension_config_dump('telemetry.projection_failure', '');
SELECT pg_catalog.pg_extension_config_dump('telemetry.device_state', '');
SELECT pg_catalog.pg_extension_config_dump('telemetry.device_metric_state', '');
SELECT pg_catalog.pg_extension_config_dump('telemetry.region_state', '');
SELECT pg_catalog.pg_extension_config_dump('telemetry.region_metric_state', '');
-- Accessors of telemetry.summary.
CREATE FUNCTION telemetry.sample_count(telemetry.summary) RETURNS bigint
    AS 'MODULE_PATHNAME', 'telemetry_get_sample_count' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION telemetry.sample_count(telemetry.summary) IS 'Number of values.';
CREATE FUNCTION telemetry.avg(telemetry.summary) RETURNS double precision
    AS 'MODULE_PATHNAME', 'telemetry_get_avg' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION telemetry.avg(telemetry.summary) IS 'Arithmetic mean, in the unit of the metric.';
CREATE FUNCTION telemetry.stddev(telemetry.summary) RETURNS double precision
    AS 'MODULE_PATHNAME', 'telemetry_get_stddev' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION telemetry.stddev(telemetry.summary) IS 'Sample standard deviation sqrt(M2 / (count - 1)), in the unit of the metric; NULL below two values and where the variance exceeds double precision. Merged by the formula of Chan, Golub and LeVeque (1979).';
CREATE FUNCTION telemetry.minimum(telemetry.summary) RETURNS double precision
    AS 'MODULE_PATHNAME', 'telemetry_get_minimum' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION telemetry.minimum(telemetry.summary) IS 'Smallest value.';
CREATE FUNCTION telemetry.maximum(telemetry.summary) RETURNS double precision
    AS 'MODULE_PATHNAME', 'telemetry_get_maximum' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION telemetry.maximum(telemetry.summary) IS 'Greatest value.';
CREATE FUNCTION telemetry.first_value(telemetry.summary) RETURNS double precision
    AS 'MODULE_PATHNAME', 'telemetry_get_first_value' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION telemetry.first_value(telemetry.summary) IS 'Value measured first; of several at that time the smallest.';
CREATE FUNCTION telemetry.first_at(telemetry.summary) RETURNS timestamptz
    AS 'MODULE_PATHNAME', 'telemetry_get_first_at' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION telemetry.first_at(telemetry.summary) IS 'When the first value was measured.';
CREATE FUNCTION telemetry.last_value(telemetry.summary) RETURNS double precision
    AS 'MODULE_PATHNAME', 'telemetry_get_last_value' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION telemetry.last_value(telemetry.summary) IS 'Value measured last, whenever it arrived; of several at that time the greatest.';
CREATE FUNCTION telemetry.last_at(telemetry.summary) RETURNS timestamptz
    AS 'MODULE_PATHNAME', 'telemetry_get_last_at' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION telemetry.last_at(telemetry.summary) IS 'When the last value was measured.';
-- Commands: what changes something on the write side.

CREATE FUNCTION telemetry.ingest_telemetry(
    device_id       text,
    measured_at     timestamptz = NULL,
    temperature     double precision = NULL,
    humidity        double precision = NULL,
    idempotency_key text = NULL,
    metrics         jsonb = NULL,
    region          text = NULL
) RETURNS telemetry.receipt
    AS 'MODULE_PATHNAME', 'telemetry_ingest_reading' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION telemetry.ingest_telemetry(text, timestamptz, double precision, double precision, text, jsonb, text) IS
'Stores one reading exactly once, in the caller''s transaction. Call it as SELECT * FROM telemetry.ingest_telemetry(...); (telemetry.ingest_telemetry(...)).* calls once a column, which a reading without identity is stored by each time.
temperature in °C, humidity in %RH, metrics: further numeric metrics as a JSON object. measured_at NULL: the time of receipt; region NULL: the registry''s.
The idempotency key is scoped by device: the same request again gives status duplicate and the first receipt, another request TC009. Without a key the reading (device, measured_at, values) is its own identity; without measured_at too there is none and every call stores.
Waits for another session that is storing the same key (bounded by lock_timeout: TC101). Errors: TC001 to TC009; 40001 above READ COMMITTED when the first delivery is not visible to the transaction.';

CREATE FUNCTION telemetry.ingest_telemetry_batch(
    device_ids       text[],
    measured_ats     timestamptz[],
    temperatures     double precision[],
    humidities       double precision[],
    idempotency_keys text[] = NULL,
    metrics          jsonb[] = NULL,
    regions          text[] = NULL,
    on_error         text = 'quarantine'
) RETURNS telemetry.batch_receipt
    AS 'MODULE_PATHNAME', 'telemetry_ingest_batch' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION telemetry.ingest_telemetry_batch(text[], timestamptz[], double precision[], double precision[], text[], jsonb[], text[], text) IS
'Stores many readings, each exactly once, in the caller''s transaction: one-dimensional arrays of one length, a reading an index; device_ids is required, any other array that is NULL means NULL for each reading. Units and rules as in ingest_telemetry.
on_error quarantine: a refused or conflicting reading is kept in telemetry.rejected_readings with SQLSTATE and reason, the others are stored; abort: the first one raises its error and nothing is stored. TC010 for arrays that do not fit or an unknown on_error.';

CREATE FUNCTION telemetry.register_device(
    device_id         text,
    region            text = NULL,
    expected_interval interval = NULL,
    attributes        jsonb = NULL
) RETURNS boolean
    AS 'MODULE_PATHNAME', 'telemetry_register_device' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION telemetry.register_device(text, text, interval, jsonb) IS
'Registers a device: true if it is new, false (and nothing changed) if it is known already. region is what readings without a region get. Errors: TC001, TC007.';
-- Queries: views for people and dashboards, functions behind them.

CREATE VIEW telemetry.measurements AS
    SELECT event_id, device_id, region, measured_at, received_at, temperature, humidity, metrics, idempotency_key
    FROM telemetry.event
    WHERE type = 'telemetry.ingested';
COMMENT ON VIEW telemetry.measurements IS 'Every accepted reading: temperature in °C, humidity in %RH, measured_at by the device''s clock, received_at by the server''s.';

CREATE VIEW telemetry.events AS
    SELECT event_id AS id,
           'device'::text AS aggregatetype,
           device_id AS aggregateid,
           type,
           version,
           pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
               'device_id', device_id, 'region', region, 'measured_at', measured_at, 'received_at', received_at,
               'temperature', temperature, 'humidity', humidity, 'metrics', metrics, 'idempotency_key', idempotency_key)) AS payload,
           received_at AS created_at
    FROM telemetry.event;
COMMENT ON VIEW telemetry.events IS 'The event log in the shape of an outbox: id, aggregatetype, aggregateid, type, version, payload, created_at.';

CREATE FUNCTION telemetry.read_events(batch bigint) RETURNS SETOF telemetry.events
    AS 'MODULE_PATHNAME', 'telemetry_read_events' LANGUAGE C STABLE STRICT PARALLEL RESTRICTED ROWS 1000;
COMMENT ON FUNCTION telemetry.read_events(bigint) IS 'The events of a batch, ordered by writing transaction and event id; only what is left of a transaction that the batch before it cut comes first, whatever its number. This is what a notification on channel telemetry_ingested points to. TC203 when there is no such batch.';

CREATE FUNCTION telemetry.as_of(projection text) RETURNS timestamptz
    AS 'MODULE_PATHNAME', 'telemetry_get_as_of' LANGUAGE C STABLE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION telemetry.as_of(text) IS 'A time up to which a projection, as the caller''s snapshot shows it, holds every committed reading. While readings wait: that of its checkpoint. When none waits: the start of the caller''s transaction or that of the checkpoint, whichever is later; under REPEATABLE READ and SERIALIZABLE and on a standby, where the snapshot may show less than that, that of the checkpoint. Never later than the snapshot; NULL where that is not known.';

CREATE FUNCTION telemetry.projection_tail(projection text, OUT events bigint, OUT oldest_received_at timestamptz)
    AS 'MODULE_PATHNAME', 'telemetry_measure_tail' LANGUAGE C STABLE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION telemetry.projection_tail(text) IS 'Events that are committed and not yet applied by a projection, and when the oldest of them was received. Costs as much as the tail is long.';

CREATE FUNCTION telemetry.worker_status(OUT preloaded boolean, OUT pid integer, OUT state text, OUT since timestamptz, OUT last_error text, OUT last_error_at timestamptz)
    AS 'MODULE_PATHNAME', 'telemetry_get_worker_status' LANGUAGE C VOLATILE PARALLEL RESTRICTED;
COMMENT ON FUNCTION telemetry.worker_status() IS 'The projector worker of this database. preloaded is false where shared_preload_libraries lacks telemetry_cqrs; state: none | starting | running | failing.';

CREATE VIEW telemetry.device_stats AS
    SELECT device_id, region, first_seen, last_seen, last_received_at, sample_count,
           telemetry.avg(temperature) AS avg_temperature, telemetry.minimum(temperature) AS min_temperature,
           telemetry.maximum(temperature) AS max_temperature, telemetry.stddev(temperature) AS stddev_temperature,
           telemetry.last_value(temperature) AS last_temperature,
           telemetry.avg(humidity) AS avg_humidity, telemetry.minimum(humidity) AS min_humidity,
           telemetry.maximum(humidity) AS max_humidity, telemetry.stddev(humidity) AS stddev_humidity,
           telemetry.last_value(humidity) AS last_humidity,
           (SELECT telemetry.as_of('device')) AS as_of
    FROM telemetry.device_state;
COMMENT ON VIEW telemetry.device_stats IS 'A row a device: °C and %RH; stddev is the sample''s; last_* and region are those of the last measured reading; as_of says up to when it is complete.';

CREATE VIEW telemetry.device_metric_stats AS
    SELECT s.device_id, m.metric, telemetry.sample_count(m.summary) AS sample_count,
           telemetry.avg(m.summary) AS avg, telemetry.minimum(m.summary) AS min, telemetry.maximum(m.summary) AS max,
           telemetry.stddev(m.summary) AS stddev,
           telemetry.first_value(m.summary) AS first_value, telemetry.first_at(m.summary) AS first_at,
           telemetry.last_value(m.summary) AS last_value, telemetry.last_at(m.summary) AS last_at,
           (SELECT telemetry.as_of('device')) AS as_of
    FROM telemetry.device_state s
    CROSS JOIN LATERAL (VALUES ('temperature'::text COLLATE "C", s.temperature), ('humidity'::text COLLATE "C", s.humidity)) AS m (metric, summary)
    WHERE m.summary IS NOT NULL
    UNION ALL
    SELECT device_id, metric, telemetry.sample_count(summary),
           telemetry.avg(summary), telemetry.minimum(summary), telemetry.maximum(summary), telemetry.stddev(summary),
           telemetry.first_value(summary), telemetry.first_at(summary), telemetry.last_value(summary), telemetry.last_at(summary),
           (SELECT telemetry.as_of('device'))
    FROM telemetry.device_metric_state;
COMMENT ON VIEW telemetry.device_metric_stats IS 'A row a device and metric, temperature and humidity among them; sample_count counts the values that were not NULL.';

CREATE VIEW telemetry.region_stats AS
    SELECT NULLIF(region, '') AS region, first_seen, last_seen, last_received_at, sample_count,
           telemetry.avg(temperature) AS avg_temperature, telemetry.minimum(temperature) AS min_temperature,
           telemetry.maximum(temperature) AS max_temperature, telemetry.stddev(temperature) AS stddev_temperature,
           telemetry.last_value(temperature) AS last_temperature,
           telemetry.avg(humidity) AS avg_humidity, telemetry.minimum(humidity) AS min_humidity,
           telemetry.maximum(humidity) AS max_humidity, telemetry.stddev(humidity) AS stddev_humidity,
           telemetry.last_value(humidity) AS last_humidity,
           (SELECT telemetry.as_of('region')) AS as_of
    FROM telemetry.region_state;
COMMENT ON VIEW telemetry.region_stats IS 'A row a region, by the region recorded with each reading; NULL for readings without one.';

CREATE VIEW telemetry.region_metric_stats AS
    SELECT NULLIF(s.region, '') AS region, m.metric, telemetry.sample_count(m.summary) AS sample_count,
           telemetry.avg(m.summary) AS avg, telemetry.minimum(m.summary) AS min, telemetry.maximum(m.summary) AS max,
           telemetry.stddev(m.summary) AS stddev,
           telemetry.first_value(m.summary) AS first_value, telemetry.first_at(m.summary) AS first_at,
           telemetry.last_value(m.summary) AS last_value, telemetry.last_at(m.summary) AS last_at,
           (SELECT telemetry.as_of('region')) AS as_of
    FROM telemetry.region_state s
    CROSS JOIN LATERAL (VALUES ('temperature'::text COLLATE "C", s.temperature), ('humidity'::text COLLATE "C", s.humidity)) AS m (metric, summary)
    WHERE m.summary IS NOT NULL
    UNION ALL
    SELECT NULLIF(region, ''), metric, telemetry.sample_count(summary),
           telemetry.avg(summary), telemetry.minimum(summary), telemetry.maximum(summary), telemetry.stddev(summary),
           telemetry.first_value(summary), telemetry.first_at(summary), telemetry.last_value(summary), telemetry.last_at(summary),
           (SELECT telemetry.as_of('region'))
    FROM telemetry.region_metric_state;
COMMENT ON VIEW telemetry.region_metric_stats IS 'A row a region and metric, temperature and humidity among them.';

CREATE VIEW telemetry.projection_status AS
    SELECT p.projection,
           CASE
               WHEN f.failures > 0 THEN 'failing'
               WHEN t.events = 0 AND c.applied IS NULL THEN 'fresh'
               WHEN t.events = 0 THEN 'current'
               WHEN w.pid IS NULL THEN 'stopped'
               ELSE 'catching up'
           END AS state,
           COALESCE(c.applied, 0)::bigint AS applied,
           t.events AS lag_events,
           COALESCE(EXTRACT(epoch FROM pg_catalog.clock_timestamp() - t.oldest_received_at), 0)::double precision AS lag_seconds,
           telemetry.as_of(p.projection) AS as_of,
           f.message AS last_error,
           f.sqlstate AS last_error_sqlstate,
           f.failed_at AS last_error_at
    FROM (VALUES ('device'::text), ('region')) AS p (projection)
    CROSS JOIN telemetry.worker_status() AS w
    CROSS JOIN LATERAL telemetry.projection_tail(p.projection) AS t
    LEFT JOIN LATERAL (
        SELECT pg_catalog.sum(k.applied) AS applied, pg_catalog.max(k.as_of) AS as_of
        FROM telemetry.checkpoint k WHERE k.consumer = p.projection
    ) AS c ON true
    LEFT JOIN telemetry.projection_failure f ON f.projection = p.projection;
COMMENT ON VIEW telemetry.projection_status IS 'A row a projection. state: fresh (no reading yet) | current | catching up | stopped (events wait and no worker runs) | failing; applied: events applied; lag_events, lag_seconds: what is committed and waits, and for how long; last_error: text of the last failure.';
-- What keeps the read side moving, and who may do what.

CREATE PROCEDURE telemetry.project_once()
    AS 'MODULE_PATHNAME', 'telemetry_project_once' LANGUAGE C;
COMMENT ON PROCEDURE telemetry.project_once() IS 'Applies everything that was committed before the call to all projections, in transactions of its own; for servers without the worker. 25001 inside a transaction block.';

CREATE FUNCTION telemetry.announce_installation() RETURNS void
    AS 'MODULE_PATHNAME', 'telemetry_announce_installation' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION telemetry.announce_installation() IS 'Asks the launcher to look at this database when the transaction commits. Internal.';

CREATE FUNCTION telemetry.grant_reader(role regrole) RETURNS void LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA telemetry TO %s', role);
    EXECUTE format('GRANT SELECT ON telemetry.measurements, telemetry.events, telemetry.device_stats, telemetry.device_metric_stats, '
                   'telemetry.region_stats, telemetry.region_metric_stats, telemetry.projection_status TO %s', role);
    EXECUTE format('GRANT EXECUTE ON FUNCTION telemetry.sample_count(telemetry.summary), telemetry.avg(telemetry.summary), '
                   'telemetry.stddev(telemetry.summary), telemetry.minimum(telemetry.summary), telemetry.maximum(telemetry.summary), '
                   'telemetry.first_value(telemetry.summary), telemetry.first_at(telemetry.summary), '
                   'telemetry.last_value(telemetry.summary), telemetry.last_at(telemetry.summary), '
                   'telemetry.read_events(bigint), telemetry.as_of(text), telemetry.projection_tail(text), telemetry.worker_status() TO %s', role);
END $$;
COMMENT ON FUNCTION telemetry.grant_reader(regrole) IS 'Lets a role query every view and read events. For the extension''s owner or a superuser.';

CREATE FUNCTION telemetry.grant_writer(role regrole) RETURNS void LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA telemetry TO %s', role);
    EXECUTE format('GRANT EXECUTE ON FUNCTION '
                   'telemetry.ingest_telemetry(text, timestamptz, double precision, double precision, text, jsonb, text), '
                   'telemetry.ingest_telemetry_batch(text[], timestamptz[], double precision[], double precision[], text[], jsonb[], text[], text) TO %s', role);
END $$;
COMMENT ON FUNCTION telemetry.grant_writer(regrole) IS 'Lets a role send readings, and nothing else. For the extension''s owner or a superuser.';

CREATE FUNCTION telemetry.grant_admin(role regrole) RETURNS void LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM telemetry.grant_reader(role);
    PERFORM telemetry.grant_writer(role);
    EXECUTE format('GRANT EXECUTE ON FUNCTION telemetry.register_device(text, text, interval, jsonb) TO %s', role);
    EXECUTE format('GRANT EXECUTE ON PROCEDURE telemetry.project_once() TO %s', role);
    EXECUTE format('GRANT SELECT ON telemetry.device, telemetry.rejected_readings, telemetry.batch, telemetry.checkpoint, telemetry.epoch, telemetry.projection_failure TO %s', role);
END $$;
COMMENT ON FUNCTION telemetry.grant_admin(regrole) IS 'Lets a role read, send, register devices, run projections by hand and look at what was rejected. For the extension''s owner or a superuser.';
-- Nothing for PUBLIC; grant_reader, grant_writer and grant_admin hand out the three sets.
REVOKE ALL ON SCHEMA telemetry FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA telemetry FROM PUBLIC;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA telemetry FROM PUBLIC;
REVOKE ALL ON ALL ROUTINES IN SCHEMA telemetry FROM PUBLIC;
REVOKE ALL ON TYPE telemetry.receipt, telemetry.batch_receipt, telemetry.summary FROM PUBLIC;

SELECT telemetry.announce_installation();
