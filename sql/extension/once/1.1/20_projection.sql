-- The definitions are the extension's own, so a dump does not carry them.
CREATE TABLE telemetry.projection (
    projection text COLLATE "C" PRIMARY KEY,
    grain      text COLLATE "C" NOT NULL,
    bucket     interval,
    quantiles  boolean NOT NULL
);
COMMENT ON TABLE telemetry.projection IS 'Holds the definitions of the projections. grain: what a projection keeps statistics of (device | region). bucket: for each span of this length, in UTC; NULL: over all time. quantiles: whether summaries keep a sketch. The statistics are in telemetry.state_*. Internal.';
INSERT INTO telemetry.projection (projection, grain, bucket, quantiles) VALUES
    ('device', 'device', NULL, false),
    ('region', 'region', NULL, false);

CREATE TABLE telemetry.pause (
    projection text COLLATE "C" PRIMARY KEY,
    paused_at  timestamptz NOT NULL,
    paused_by  text NOT NULL
);
COMMENT ON TABLE telemetry.pause IS 'Holds a row for each projection that is paused: since when and by whom. telemetry.pause_projection() and telemetry.resume_projection() write it, telemetry.projection_status shows it.';
SELECT pg_catalog.pg_extension_config_dump('telemetry.pause', '');
