CREATE TABLE telemetry.projection (
    projection text COLLATE "C" PRIMARY KEY,
    paused_at  timestamptz NOT NULL,
    paused_by  text NOT NULL
);
COMMENT ON TABLE telemetry.projection IS 'Holds a row for each projection that is paused: since when and by whom. telemetry.pause_projection() and telemetry.resume_projection() write it, telemetry.projection_status shows it.';
SELECT pg_catalog.pg_extension_config_dump('telemetry.projection', '');
