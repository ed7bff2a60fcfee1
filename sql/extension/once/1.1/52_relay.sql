-- The relay publishes events outside the database. src/worker/README.md has the contract.
CREATE TABLE telemetry.relay (
    sink              text COLLATE "C" PRIMARY KEY,
    system_identifier bigint NOT NULL,
    database          oid NOT NULL,
    log               oid NOT NULL,
    timeline          integer NOT NULL,
    adopted_at        timestamptz NOT NULL,
    adopted_by        text NOT NULL,
    paused_at         timestamptz,
    paused_by         text,
    refresh_requested_at timestamptz,
    generation        integer
);
COMMENT ON TABLE telemetry.relay IS 'Holds a row for each sink to which the relay has sent: nats and redis. system_identifier, database, log, timeline: the place from which it may send; a copy of the log at another place sends nothing until telemetry.adopt_relay() is called there. paused_at, paused_by: since when and by whom it is paused. refresh_requested_at: since when every value is to be sent again (telemetry.refresh_cache()); NULL: not now. generation: of the projection device, whose values redis was sent or is being sent. telemetry.relay_status shows all but this.';
SELECT pg_catalog.pg_extension_config_dump('telemetry.relay', '');
