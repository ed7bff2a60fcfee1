-- Where the windows of an epoch begin: of a copied log, what was written before the copy is not read again.
ALTER TABLE telemetry.epoch ADD COLUMN first_xid xid8;
COMMENT ON TABLE telemetry.epoch IS 'One row for each place (server, database, log table, timeline) this log has been written in: a log restored from a dump is at another place even in its old database. Transaction numbers are comparable inside an epoch only; none below first_xid wrote in it (NULL, of an earlier version: not known). Without a key: commands that are first at the same time each write the same row. Internal.';
