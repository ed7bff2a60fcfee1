-- Comments of version 1.0 in whole sentences. Other parts of this folder comment on the objects that they change.

COMMENT ON TYPE telemetry.receipt IS 'Answers one reading. status: accepted | duplicate; event_id and received_at are those of the stored event (of the first delivery for a duplicate); token names the transaction that stored it.';
COMMENT ON TYPE telemetry.batch_receipt IS 'Answers an array call: received = accepted + duplicates + conflicts + rejected. first_event_id and last_event_id span the accepted readings (NULL if none; gaps are possible); token names the transaction that stored them.';
COMMENT ON FUNCTION telemetry.summary_in(cstring) IS 'Reads a telemetry.summary from text. TC302 for malformed text.';
COMMENT ON FUNCTION telemetry.summary_out(telemetry.summary) IS 'Writes a telemetry.summary as JSON whose numbers read back bit for bit.';
COMMENT ON FUNCTION telemetry.summary_recv(internal) IS 'Reads a telemetry.summary from its binary form. TC302 for an unknown version and for malformed bytes, 08P01 for a message that is too short.';
COMMENT ON FUNCTION telemetry.summary_send(telemetry.summary) IS 'Writes a telemetry.summary in its binary form.';
COMMENT ON SEQUENCE telemetry.event_id_seq IS 'Numbers the events. Gaps are normal; the order is not the order of commits. Internal.';
COMMENT ON TABLE telemetry.event IS 'Holds the segments of the event log, which is outbox, audit trail and idempotency ledger in one. It takes inserts only. Read it through telemetry.measurements and telemetry.events.';
COMMENT ON TABLE telemetry.event_1 IS 'Holds the events of the first segment of the event log. It takes inserts only.';
COMMENT ON FUNCTION telemetry.refuse_change() IS 'Refuses UPDATE, DELETE and TRUNCATE of the event log with TC201, as a trigger function. Internal.';
COMMENT ON TABLE telemetry.device IS 'Holds the registered devices. While telemetry_cqrs.auto_register is on, a command registers an unknown device with its first accepted reading. region: of readings without one. status: active | retired. expected_interval: how often the device is expected to send (telemetry.device_liveness).';
COMMENT ON FUNCTION telemetry.announce_registry_change() IS 'Lets every session forget what it remembers of the registry, as a trigger function. Internal.';
COMMENT ON SEQUENCE telemetry.rejected_id_seq IS 'Numbers the rejected readings. Internal.';
COMMENT ON TABLE telemetry.batch IS 'Holds the batches of the projector. to_snapshot shows the events of a batch, and from_snapshot does not. If a partial xid is set, the batch begins or ends inside that transaction: events up to its event_id lie before that point. read_events(batch_id) gives the events. Batches older than telemetry_cqrs.batch_retention are merged with their neighbours, to at most 100,000 events; the merged batch has the number of its last part.';
COMMENT ON TABLE telemetry.projection_failure IS 'Holds the last failure of each projection, for telemetry.projection_status. Internal.';
COMMENT ON TABLE telemetry.device_state IS 'Takes the statistics of a dump of version 1.0. The first pass deletes them, and computes them anew from the event log. Internal.';
COMMENT ON TABLE telemetry.device_metric_state IS 'Takes the statistics of a dump of version 1.0. The first pass deletes them, and computes them anew from the event log. Internal.';
COMMENT ON TABLE telemetry.region_state IS 'Takes the statistics of a dump of version 1.0. The first pass deletes them, and computes them anew from the event log. Internal.';
COMMENT ON TABLE telemetry.region_metric_state IS 'Takes the statistics of a dump of version 1.0. The first pass deletes them, and computes them anew from the event log. Internal.';
