-- A subscription reads the log for clients outside the database. src/subscription/README.md has the contract of these tables.
CREATE TABLE telemetry.subscription (
    subscription  text COLLATE "C" PRIMARY KEY,
    consumer_role text COLLATE "C" NOT NULL,
    devices       text[] COLLATE "C",
    regions       text[] COLLATE "C",
    types         text[] COLLATE "C",
    max_attempts  integer NOT NULL,
    retry_delay   interval NOT NULL,
    required      boolean NOT NULL,
    max_lag       interval NOT NULL,
    created_at    timestamptz NOT NULL,
    lost_at       timestamptz,
    lost_because  text
);
COMMENT ON TABLE telemetry.subscription IS 'Holds the durable subscriptions (telemetry.create_subscription()). consumer_role: members of this role may consume. devices, regions, types: which events it wants (NULL: all). max_attempts, retry_delay: how often an event is delivered until it is a dead letter, and how long after the first failure. required: old batches are kept for it, until it lags by more than max_lag. lost_at, lost_because: since when and why it can no longer give every event (NULL: it can). Internal; telemetry.subscription_status shows it.';
SELECT pg_catalog.pg_extension_config_dump('telemetry.subscription', '');

CREATE TABLE telemetry.subscription_share (
    subscription           text COLLATE "C",
    first_lane             smallint,
    last_lane              smallint NOT NULL,
    batch_id               bigint NOT NULL,
    partial_xid            xid8,
    partial_event_id       bigint,
    not_before             timestamptz NOT NULL,
    failures               integer NOT NULL,
    caution                smallint NOT NULL,
    careful_events         integer NOT NULL,
    last_error             text,
    last_error_at          timestamptz,
    consumer               text COLLATE "C",
    answered_at            timestamptz,
    lease                  bigint,
    leased_until           timestamptz,
    lease_events           integer,
    lease_batch_id         bigint,
    lease_partial_xid      xid8,
    lease_partial_event_id bigint,
    retried_device         text COLLATE "C",
    PRIMARY KEY (subscription, first_lane)
) WITH (fillfactor = 40, vacuum_index_cleanup = on);
COMMENT ON TABLE telemetry.subscription_share IS 'Says for each share of a subscription (the devices of some lanes) how far it has been consumed: the batch, and possibly a place inside the next one. consumer, answered_at: who has worked on it last, and until when. lease, leased_until: of the consumer that works on it now; the lease_* columns say up to where. not_before, failures, last_error: of the last failures. caution, careful_events: for so many events leases have a tenth, a hundredth, .. of the events. Internal.';
SELECT pg_catalog.pg_extension_config_dump('telemetry.subscription_share', '');

CREATE SEQUENCE telemetry.lease_seq;
COMMENT ON SEQUENCE telemetry.lease_seq IS 'Gives the numbers of leases. Internal.';
SELECT pg_catalog.pg_extension_config_dump('telemetry.lease_seq', '');

CREATE TABLE telemetry.subscription_consumer (
    subscription text COLLATE "C",
    consumer     text COLLATE "C",
    seen_at      timestamptz,
    PRIMARY KEY (subscription, consumer, seen_at)  -- so two sessions of one consumer do not wait for each other
);
COMMENT ON TABLE telemetry.subscription_consumer IS 'Holds the consumers that found nothing to do while others had all of it, and when. The next lease splits a share for them. Internal.';
SELECT pg_catalog.pg_extension_config_dump('telemetry.subscription_consumer', '');

CREATE TABLE telemetry.redelivery (
    subscription text COLLATE "C",
    lane         smallint,
    device_id    text COLLATE "C",
    batch_id     bigint,
    xid          xid8,
    event_id     bigint,
    epoch        integer NOT NULL,
    type         text COLLATE "C" NOT NULL,
    version      smallint NOT NULL,
    payload      json NOT NULL,
    received_at  timestamptz NOT NULL,
    attempts     integer NOT NULL,
    due_at       timestamptz NOT NULL,
    lease        bigint,
    last_error   text,
    PRIMARY KEY (subscription, lane, device_id, batch_id, xid, event_id)
) WITH (vacuum_index_cleanup = on);
COMMENT ON TABLE telemetry.redelivery IS 'Holds the events that a subscription will deliver again, and the later events of the same devices, which wait behind them. attempts: how often the delivery of the event alone has failed. lease: the lease that holds the row now. Internal; telemetry.subscription_status counts them.';
CREATE INDEX redelivery_lease ON telemetry.redelivery (subscription, lease) WHERE lease IS NOT NULL;
COMMENT ON INDEX telemetry.redelivery_lease IS 'Finds the rows that a lease holds.';
SELECT pg_catalog.pg_extension_config_dump('telemetry.redelivery', '');

CREATE TABLE telemetry.dead_letter (
    subscription text COLLATE "C",
    event_id     bigint,
    epoch        integer,
    lane         smallint NOT NULL,
    device_id    text COLLATE "C" NOT NULL,
    batch_id     bigint NOT NULL,
    xid          xid8 NOT NULL,
    type         text COLLATE "C" NOT NULL,
    version      smallint NOT NULL,
    payload      json NOT NULL,
    received_at  timestamptz NOT NULL,
    attempts     integer NOT NULL,
    last_error   text,
    died_at      timestamptz NOT NULL,
    PRIMARY KEY (subscription, event_id, epoch)
);
COMMENT ON TABLE telemetry.dead_letter IS 'Holds the events that a subscription has given up on. Internal; telemetry.dead_letters shows them, telemetry.replay_dead_letters() sends them through again.';
SELECT pg_catalog.pg_extension_config_dump('telemetry.dead_letter', '');
