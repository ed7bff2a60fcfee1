// The statement guard refuses statements on the extension's relations to a role without the right, before they wait for a lock.
//
// In the statements below the server locks first and checks the right afterwards. Such a lock conflicts with every open
// transaction that has sent or applied readings, and all later ones wait for it. So a role without the right could stall all
// ingest.
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
// The guard takes no lock, and the error is the server's own. If the role has the right, if the relation is not in the
// extension's schema, or if the statement is another one, the server gets it unchanged. The server checks the right again in
// any case, so a change in between opens no gap. The guard works in sessions that have loaded the library. Where the library is
// preloaded, these are all sessions.
#pragma once

namespace runtime {

// Called once, by _PG_init.
void guard_statements();

}  // namespace runtime
