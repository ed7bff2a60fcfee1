// Finds the anchor as DROP EXTENSION does (findDependentObjects in the server), and locks it.
// This file is written wholly in P.
#include "runtime/anchor.hpp"

#include "postgres/catalog.hpp"

#include "postgres/pg.hpp"

namespace runtime {

Oid find_anchor(Oid extension) {
    const Oid anchor = postgres::first_relation_of(extension);
    InvalidateCatalogSnapshot();
    return anchor;
}

// AcceptInvalidationMessages is there because the server skips it for a lock that the transaction already has.
void lock_anchor(Oid anchor) {
    LockRelationOid(anchor, AccessShareLock);
    AcceptInvalidationMessages();
}

}  // namespace runtime
