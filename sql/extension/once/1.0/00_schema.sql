-- Plain CREATE SCHEMA: a schema of this name that is not ours makes CREATE EXTENSION fail with 42P06 instead of being taken over.
CREATE SCHEMA telemetry;
COMMENT ON SCHEMA telemetry IS 'telemetry_cqrs: commands in, event log, read models out. Start with telemetry.ingest_telemetry() and the view telemetry.device_stats.';
REVOKE ALL ON SCHEMA telemetry FROM PUBLIC;
