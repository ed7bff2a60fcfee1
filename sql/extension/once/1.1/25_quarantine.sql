ALTER TABLE telemetry.rejected_readings
    ADD COLUMN last_received_at timestamptz,
    ADD COLUMN device_id text COLLATE "C",
    ADD COLUMN idempotency_key text COLLATE "C",
    ADD COLUMN source text COLLATE "C",
    ADD COLUMN token text COLLATE "C",
    ADD COLUMN item_index bigint,
    ADD COLUMN deliveries integer NOT NULL DEFAULT 1,
    ADD COLUMN delivery bigint,
    ADD COLUMN redrives integer NOT NULL DEFAULT 0;
CREATE INDEX rejected_readings_delivery ON telemetry.rejected_readings (delivery);
CREATE INDEX rejected_readings_device_id ON telemetry.rejected_readings (device_id, rejected_id);
CREATE INDEX rejected_readings_token ON telemetry.rejected_readings (token);
CREATE INDEX rejected_readings_received_at ON telemetry.rejected_readings (coalesce(last_received_at, received_at));
COMMENT ON TABLE telemetry.rejected_readings IS 'Holds the readings that were refused: SQLSTATE, reason, and the reading as sent (payload), so that telemetry.redrive_rejected() can send it again. Numbers that JSON cannot hold stand as text. The payload keeps the beginning of a text of more than 4,096 bytes, and leaves out metrics of more than 64 kB. Its member "truncated" then says how many bytes each of them had. An item that is no reading stands as text in the member "item". source: reading | arrays | json | inbox, the door; token and item_index (from 1): the batch and the place in it. device_id, idempotency_key: as sent, or their beginning. deliveries counts how often the same reading was refused for the same SQLSTATE, from received_at to last_received_at; delivery is a hash that finds it. redrives counts how often telemetry.redrive_rejected() sent it in vain. A reading with neither key nor measured_at always has a row of its own. The projector deletes rows that are older than telemetry_cqrs.quarantine_retention, and the oldest ones beyond telemetry_cqrs.quarantine_rows.';

CREATE TABLE telemetry.batch_verdict (
    batch_key      text COLLATE "C" NOT NULL,
    first_index    bigint NOT NULL,
    reading_count  bigint NOT NULL,
    sender         text NOT NULL,
    received_at    timestamptz NOT NULL,
    xid            xid8 NOT NULL,
    first_event_id bigint,
    last_event_id  bigint,
    indexes        integer[] NOT NULL,
    verdicts       text[] NOT NULL,
    sqlstates      text[] NOT NULL,
    reasons        text[] NOT NULL,
    event_ids      bigint[] NOT NULL,
    PRIMARY KEY (batch_key, first_index)
);
CREATE INDEX batch_verdict_received_at ON telemetry.batch_verdict (received_at);
COMMENT ON TABLE telemetry.batch_verdict IS 'Keeps account of batches of which some readings were not simply stored: a row for each portion. indexes, from 0 in the portion, name these readings; the others are the events from first_event_id to last_event_id of transaction xid, in order. sender is the role that sent the batch. telemetry.batch_verdicts() reads it. The projector deletes rows that are older than telemetry_cqrs.verdict_retention. Internal.';
SELECT pg_catalog.pg_extension_config_dump('telemetry.batch_verdict', '');
