-- The batcher alone knows positions in the log. Every other consumer knows which batch it has consumed last.
CREATE TABLE telemetry.batcher (
    epoch                    integer PRIMARY KEY,
    snapshot                 pg_snapshot NOT NULL,
    partial_xid              xid8,
    partial_event_id         bigint,
    batched_snapshot         pg_snapshot NOT NULL,
    batched_partial_xid      xid8,
    batched_partial_event_id bigint,
    events                   bigint NOT NULL,
    open_events              bigint NOT NULL,
    last_batch_id            bigint NOT NULL,
    drained                  boolean NOT NULL,
    as_of                    timestamptz NOT NULL,
    batched_as_of            timestamptz NOT NULL
) WITH (fillfactor = 20, vacuum_index_cleanup = on);
COMMENT ON TABLE telemetry.batcher IS 'Says how far the projector has read each epoch of the event log (snapshot), and where its next batch begins (batched_snapshot). The events between the two are in the open batch, which has no row in telemetry.batch yet. Every reading that was committed before as_of lies before the first of these positions, and before batched_as_of before the second. The transaction that writes the statistics moves the row. Internal.';

CREATE TABLE telemetry.cursor (
    projection  text COLLATE "C",
    generation  integer,
    purpose     text COLLATE "C" NOT NULL,
    is_filled   boolean NOT NULL,
    is_copied   boolean NOT NULL,
    batch_id    bigint,
    events      bigint,
    as_of       timestamptz,
    until_batch bigint,
    PRIMARY KEY (projection, generation)
) WITH (vacuum_index_cleanup = on);
COMMENT ON TABLE telemetry.cursor IS 'Says for each generation of a projection which batch it has consumed last, how many events it has consumed, and up to when every reading. The three are NULL while it keeps up: then it has consumed everything that the projector has read (telemetry.batcher). purpose: current (the views show it) | rebuild (it will replace the current one) | baseline (the statistics of the readings up to its batch, from which a rebuild begins; it goes on to until_batch) | audit (it is compared with the current one). is_filled: it has kept up before. is_copied: false while it lacks rows of the baseline. Internal.';
SELECT pg_catalog.pg_extension_config_dump('telemetry.batcher', '');
SELECT pg_catalog.pg_extension_config_dump('telemetry.cursor', '');

COMMENT ON TABLE telemetry.checkpoint IS 'Takes the checkpoints of a dump of version 1.0. The first pass turns them into rows of telemetry.batcher and telemetry.cursor. Internal.';
