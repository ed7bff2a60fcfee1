-- Written in the transaction that stores the event, so the two never disagree.
CREATE TABLE telemetry.offline_device (
    device_id        text COLLATE "C" PRIMARY KEY,
    last_received_at timestamptz NOT NULL,
    since            timestamptz NOT NULL
);
COMMENT ON TABLE telemetry.offline_device IS 'Holds the devices whose last event of that kind is device.offline. last_received_at: when their last reading before it was received. since: from when on they counted as offline. The projector writes it while telemetry_cqrs.liveness_interval is not 0. Internal.';
SELECT pg_catalog.pg_extension_config_dump('telemetry.offline_device', '');
