// The gate: the relation of the extension that DROP EXTENSION locks before any other of its relations.
// This file is written wholly in P.
//
// 1. DROP EXTENSION locks the extension's object before it asks for the right, so a role without any right can wait there and
//    be waited for. Nothing of ours takes that lock.
// 2. Once it knows that the role may drop the extension, it locks the members in the order in which pg_depend names them.
// 3. Commands and passes lock the gate, shared, before any other relation, and hold it until their transaction ends. So DROP
//    EXTENSION waits for them while it holds no relation of ours. A command that comes later waits while it holds none, too.
//
// The functions and types that DROP EXTENSION may hold meanwhile are locked by nothing of ours. A query on a view that reads
// the gate waits behind DROP EXTENSION; in a fresh installation the gate is telemetry.installation, which no view reads.
//
// The order changes when the extension gets further relations, and when pg_depend is rewritten. Sessions hear of both, except
// of ALTER EXTENSION ADD. A gate that is no longer the first one still keeps the extension in place. It only leaves the two to
// the server's deadlock detection.
#pragma once

#include "postgres/types.hpp"

namespace runtime {

// InvalidOid where the extension is gone, or has no relation. Leaves no catalogue snapshot behind.
Oid find_gate(Oid extension);

// Waits for a DROP EXTENSION. Afterwards the session knows of everything that was committed meanwhile, and the caller looks
// whether this relation is still the gate.
void lock_gate(Oid gate);

}  // namespace runtime
