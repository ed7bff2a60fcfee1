-- Nothing for PUBLIC; grant_reader, grant_writer and grant_admin hand out the three sets.
REVOKE ALL ON SCHEMA telemetry FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA telemetry FROM PUBLIC;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA telemetry FROM PUBLIC;
REVOKE ALL ON ALL ROUTINES IN SCHEMA telemetry FROM PUBLIC;
REVOKE ALL ON TYPE telemetry.receipt, telemetry.batch_receipt, telemetry.summary FROM PUBLIC;

SELECT telemetry.announce_installation();
