-- A dump carries the definitions that are not the extension's own.
CREATE TABLE telemetry.projection (
    projection text COLLATE "C" PRIMARY KEY,
    grain      text COLLATE "C" NOT NULL,
    bucket     interval,
    quantiles  boolean NOT NULL,
    cadence    interval NOT NULL,
    metrics    text[] COLLATE "C",
    devices    text COLLATE "C",
    regions    text[] COLLATE "C",
    handler    text,
    runs_as    text,
    is_own     boolean NOT NULL
);
COMMENT ON TABLE telemetry.projection IS 'Holds the definitions of the projections. grain: what a projection keeps statistics of (device | region | all), or batch: it keeps none, and calls the function handler as the role runs_as. bucket: for each span of this length, in UTC; NULL: over all time. quantiles: whether its summaries keep a sketch. cadence: how long it lets readings gather; 0: not at all. metrics: only these; devices: only those that match this LIKE pattern; regions: only readings of these; NULL: all. is_own: the extension made it. The statistics are in telemetry.state_*. Internal.';
SELECT pg_catalog.pg_extension_config_dump('telemetry.projection', 'WHERE NOT is_own');
INSERT INTO telemetry.projection (projection, grain, bucket, quantiles, cadence, is_own) VALUES
    ('device', 'device', NULL, false, '0', true),
    ('device_1m', 'device', '1 minute', false, '1 s', true),
    ('device_1h', 'device', '1 hour', true, '1 s', true),
    ('device_1d', 'device', '1 day', true, '1 s', true),
    ('region', 'region', NULL, false, '0', true),
    ('region_1m', 'region', '1 minute', false, '1 s', true),
    ('region_1h', 'region', '1 hour', true, '1 s', true),
    ('region_1d', 'region', '1 day', true, '1 s', true);

CREATE TABLE telemetry.projection_setting (
    projection     text COLLATE "C" PRIMARY KEY,
    cadence        interval,
    retention      interval,
    failure_policy text COLLATE "C",
    replays        boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE telemetry.projection_setting IS 'Holds what an administrator has set for a projection; NULL: nothing. cadence: instead of that of the definition. retention: how long buckets are kept after they began. failure_policy: what becomes of an event on which the projection fails (pause | park; NULL: pause). replays: he has sent parked events through again, and not all of them have been tried yet. telemetry.set_cadence(), set_retention(), set_failure_policy() and replay_parked() write it, telemetry.projection_status shows it.';
SELECT pg_catalog.pg_extension_config_dump('telemetry.projection_setting', '');

CREATE TABLE telemetry.pause (
    projection text COLLATE "C" PRIMARY KEY,
    paused_at  timestamptz NOT NULL,
    paused_by  text NOT NULL
);
COMMENT ON TABLE telemetry.pause IS 'Holds a row for each projection that is paused: since when and by whom. telemetry.pause_projection() and telemetry.resume_projection() write it, telemetry.projection_status shows it.';
SELECT pg_catalog.pg_extension_config_dump('telemetry.pause', '');

CREATE TABLE telemetry.parked_event (
    projection text COLLATE "C",
    generation integer,
    event_id   bigint,
    batch_id   bigint NOT NULL,
    sqlstate   text NOT NULL,
    message    text NOT NULL,
    failed_at  timestamptz NOT NULL,
    failures   integer NOT NULL,
    is_due     boolean NOT NULL,
    PRIMARY KEY (projection, generation, event_id)
);
COMMENT ON TABLE telemetry.parked_event IS 'Holds the events that a projection has put aside because it fails on them (telemetry.set_failure_policy()). event_id: telemetry.events.id. generation: of the statistics that lack the event; a rebuild under way has rows of its own. batch_id: the batch in which the event came; it may have been merged since. sqlstate, message, failed_at: of the last failure. failures: how often the event has failed. is_due: telemetry.replay_parked() has asked for another try, which was not made yet.';
SELECT pg_catalog.pg_extension_config_dump('telemetry.parked_event', '');

CREATE TABLE telemetry.audit (
    projection  text COLLATE "C" PRIMARY KEY,
    begun_at    timestamptz NOT NULL,
    finished_at timestamptz,
    differences bigint NOT NULL,
    example     jsonb
);
COMMENT ON TABLE telemetry.audit IS 'Holds the result of the last audit of each projection (telemetry_cqrs.audit_interval). begun_at, finished_at: the last audit that was begun, and the last one that has ended. differences: how many rows of telemetry.verify_projection() differ; example: the first of them. A rebuild deletes the row.';
SELECT pg_catalog.pg_extension_config_dump('telemetry.audit', '');
