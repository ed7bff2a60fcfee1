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
