-- The definitions are the extension's own, so a dump does not carry them.
CREATE TABLE telemetry.projection (
    projection text COLLATE "C" PRIMARY KEY,
    grain      text COLLATE "C" NOT NULL,
    bucket     interval,
    quantiles  boolean NOT NULL,
    cadence    interval NOT NULL
);
COMMENT ON TABLE telemetry.projection IS 'Holds the definitions of the projections. grain: what a projection keeps statistics of (device | region). bucket: for each span of this length, in UTC; NULL: over all time. quantiles: whether its summaries keep a sketch. cadence: how long it lets readings gather; 0: not at all. The statistics are in telemetry.state_*. Internal.';
INSERT INTO telemetry.projection (projection, grain, bucket, quantiles, cadence) VALUES
    ('device', 'device', NULL, false, '0'),
    ('device_1m', 'device', '1 minute', false, '1 s'),
    ('device_1h', 'device', '1 hour', true, '1 s'),
    ('device_1d', 'device', '1 day', true, '1 s'),
    ('region', 'region', NULL, false, '0'),
    ('region_1m', 'region', '1 minute', false, '1 s'),
    ('region_1h', 'region', '1 hour', true, '1 s'),
    ('region_1d', 'region', '1 day', true, '1 s');

CREATE TABLE telemetry.projection_setting (
    projection text COLLATE "C" PRIMARY KEY,
    cadence    interval,
    retention  interval
);
COMMENT ON TABLE telemetry.projection_setting IS 'Holds what an administrator has set for a projection; NULL: nothing. cadence: instead of that of the definition. retention: how long buckets are kept after they began. telemetry.set_cadence() and telemetry.set_retention() write it, telemetry.projection_status shows it.';
SELECT pg_catalog.pg_extension_config_dump('telemetry.projection_setting', '');

CREATE TABLE telemetry.pause (
    projection text COLLATE "C" PRIMARY KEY,
    paused_at  timestamptz NOT NULL,
    paused_by  text NOT NULL
);
COMMENT ON TABLE telemetry.pause IS 'Holds a row for each projection that is paused: since when and by whom. telemetry.pause_projection() and telemetry.resume_projection() write it, telemetry.projection_status shows it.';
SELECT pg_catalog.pg_extension_config_dump('telemetry.pause', '');
