-- Who paused what.
CREATE TABLE telemetry.projection (
    projection text COLLATE "C" PRIMARY KEY,
    paused_at  timestamptz NOT NULL,
    paused_by  text NOT NULL
);
COMMENT ON TABLE telemetry.projection IS 'A row for each projection that is paused, since when and by whom. Written by telemetry.pause_projection() and telemetry.resume_projection(); shown by telemetry.projection_status.';
SELECT pg_catalog.pg_extension_config_dump('telemetry.projection', '');
