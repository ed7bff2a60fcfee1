// The anchor is the relation of the extension that DROP EXTENSION locks before any other of its relations.
// This file is written wholly in P.
//
// 1. DROP EXTENSION locks the extension's object before it checks the role's right. So a role without any right can wait for
//    that lock, and others would wait for that role. The extension never takes that lock.
// 2. After that check, DROP EXTENSION locks the members in the order in which pg_depend names them.
// 3. Commands and passes lock the anchor, shared, before any other relation, and hold it until their transaction ends. So DROP
//    EXTENSION waits for them while it holds no relation of the extension. A command that comes later waits for the anchor, and
//    holds no other relation while it waits.
//
// DROP EXTENSION may also hold functions and types meanwhile, which commands and passes do not lock. A query on a view that
// reads the anchor waits for DROP EXTENSION. In a fresh installation the anchor is telemetry.installation, which no view reads.
//
// The order changes when the extension gets further relations, and when pg_depend is rewritten. Sessions hear of both, except
// of ALTER EXTENSION ADD. An anchor that is no longer the first relation still keeps the extension in place. But then DROP
// EXTENSION and a command can deadlock, and the server ends one of them.
#pragma once

#include "postgres/types.hpp"

namespace runtime {

// Returns InvalidOid if the extension is gone or has no relation. Leaves no catalogue snapshot.
Oid find_anchor(Oid extension);

// Waits for a DROP EXTENSION and then knows of everything that was committed meanwhile. The caller must then look whether this
// relation is still the anchor.
void lock_anchor(Oid anchor);

}  // namespace runtime
