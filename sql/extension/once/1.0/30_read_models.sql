-- Read side: batches, checkpoints and the state of the projections. Written by the holder of the projector's lock only.

CREATE TABLE telemetry.batch (
    batch_id              bigint PRIMARY KEY,
    epoch                 integer NOT NULL,
    from_snapshot         pg_snapshot NOT NULL,
    from_partial_xid      xid8,
    from_partial_event_id bigint,
    to_snapshot           pg_snapshot NOT NULL,
    to_partial_xid        xid8,
    to_partial_event_id   bigint,
    events                integer NOT NULL,
    created_at            timestamptz NOT NULL
);
COMMENT ON TABLE telemetry.batch IS 'Batches of the projector: the events visible at "to" and not at "from". A partial xid says that of this one transaction the events up to the event_id belong to the near side as well. read_events(batch_id) gives the events.';

CREATE TABLE telemetry.checkpoint (
    consumer         text COLLATE "C" NOT NULL,
    epoch            integer NOT NULL,
    snapshot         pg_snapshot NOT NULL,
    partial_xid      xid8,
    partial_event_id bigint,
    applied          bigint NOT NULL,
    last_batch_id    bigint NOT NULL,
    drained          boolean NOT NULL DEFAULT false,
    as_of            timestamptz NOT NULL,
    PRIMARY KEY (consumer, epoch)
) WITH (fillfactor = 20);
COMMENT ON TABLE telemetry.checkpoint IS 'How far each consumer of the event log has come in each epoch; moved in the transaction that writes its state. consumer: batch (telemetry.batch itself) or a projection. Internal.';

CREATE TABLE telemetry.projection_failure (
    projection text COLLATE "C" PRIMARY KEY,
    sqlstate   text NOT NULL,
    message    text NOT NULL,
    failed_at  timestamptz NOT NULL,
    failures   bigint NOT NULL
);
COMMENT ON TABLE telemetry.projection_failure IS 'Last failure of each projection; shown by telemetry.projection_status. Internal.';

CREATE TABLE telemetry.device_state (
    device_id        text COLLATE "C" PRIMARY KEY,
    sample_count     bigint NOT NULL,
    first_seen       timestamptz NOT NULL,
    last_seen        timestamptz NOT NULL,
    last_received_at timestamptz NOT NULL,
    temperature      telemetry.summary,
    humidity         telemetry.summary,
    region           text COLLATE "C"
) WITH (fillfactor = 50);
COMMENT ON TABLE telemetry.device_state IS 'State of the projection "device": a row a device. Internal; query telemetry.device_stats.';

CREATE TABLE telemetry.device_metric_state (
    device_id text COLLATE "C" NOT NULL,
    metric    text COLLATE "C" NOT NULL,
    summary   telemetry.summary NOT NULL,
    PRIMARY KEY (device_id, metric)
) WITH (fillfactor = 50);
COMMENT ON TABLE telemetry.device_metric_state IS 'State of the projection "device": further metrics. Internal; query telemetry.device_metric_stats.';

CREATE TABLE telemetry.region_state (
    region           text COLLATE "C" PRIMARY KEY,
    sample_count     bigint NOT NULL,
    first_seen       timestamptz NOT NULL,
    last_seen        timestamptz NOT NULL,
    last_received_at timestamptz NOT NULL,
    temperature      telemetry.summary,
    humidity         telemetry.summary
) WITH (fillfactor = 50);
COMMENT ON TABLE telemetry.region_state IS 'State of the projection "region": a row a region, '''' for readings without one. Internal; query telemetry.region_stats.';

CREATE TABLE telemetry.region_metric_state (
    region  text COLLATE "C" NOT NULL,
    metric  text COLLATE "C" NOT NULL,
    summary telemetry.summary NOT NULL,
    PRIMARY KEY (region, metric)
) WITH (fillfactor = 50);
COMMENT ON TABLE telemetry.region_metric_state IS 'State of the projection "region": further metrics. Internal; query telemetry.region_metric_stats.';
