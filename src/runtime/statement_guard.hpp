// Refuses statements on the extension's relations for which the role has no right, before they wait for a lock.
//
// The server locks first and asks for the right afterwards in the statements below. Such a lock conflicts with every open
// transaction that has sent or applied readings, and everybody else waits behind it. So a role without the right could stall
// all ingest.
//
// | statement                                                      | the server's lock   | the right         |
// |----------------------------------------------------------------|---------------------|-------------------|
// | CREATE TRIGGER .. ON ours                                      | ShareRowExclusive   | TRIGGER on it     |
// | CREATE RULE .. TO ours                                         | AccessExclusive     | its owner         |
// | CREATE [FOREIGN] TABLE .. PARTITION OF ours                    | AccessExclusive     | its owner         |
// | ALTER TABLE, ALTER INDEX .. ATTACH or DETACH PARTITION ours    | AccessExclusive     | its owner         |
// | ALTER INDEX, ALTER MATERIALIZED VIEW ours DEPENDS ON EXTENSION | AccessExclusive     | its owner         |
// | REFERENCES ours, in CREATE TABLE and ALTER TABLE               | ShareRowExclusive   | REFERENCES on it  |
//
// The guard takes no lock, and the error is the server's own. A role that has the right, a relation that is not in the
// extension's schema, and every other statement go to the server unchanged. The server looks again in any case, so a change in
// between is no gap. Only sessions that have loaded the library are guarded: all where it is preloaded.
#pragma once

namespace runtime {

// Called once, by _PG_init.
void guard_statements();

}  // namespace runtime
