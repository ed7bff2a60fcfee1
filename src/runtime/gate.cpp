// Finds the gate as DROP EXTENSION does (findDependentObjects in the server), and locks it.
// This file is written wholly in P.
#include "runtime/gate.hpp"

#include "postgres/catalog.hpp"

#include "postgres/pg.hpp"

namespace runtime {

Oid find_gate(Oid extension) {
    const Oid gate = postgres::first_relation_of(extension);
    InvalidateCatalogSnapshot();
    return gate;
}

// AcceptInvalidationMessages is there because the server skips it for a lock that the transaction already has.
void lock_gate(Oid gate) {
    LockRelationOid(gate, AccessShareLock);
    AcceptInvalidationMessages();
}

}  // namespace runtime
