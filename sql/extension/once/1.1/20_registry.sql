-- Logical replication fires row triggers only, and only those that are enabled for replicas. In an ordinary session the statement
-- trigger announces a change once for all rows.
CREATE TRIGGER announce_replicated_change AFTER UPDATE OR DELETE ON telemetry.device
    FOR EACH ROW EXECUTE FUNCTION telemetry.announce_registry_change();
ALTER TABLE telemetry.device ENABLE REPLICA TRIGGER announce_replicated_change;
