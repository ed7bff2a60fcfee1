// What the server's catalogue says about the extension: one look for each question. This file is written wholly in P. No
// function takes a lock on what it finds, so the answer may be old at once: the caller locks and looks again, or holds the
// extension's gate (runtime/gate.hpp).
#pragma once

#include "postgres/pg.hpp"

namespace postgres {

inline constexpr const char* kExtensionName = "telemetry_cqrs";
inline constexpr const char* kSchemaName = "telemetry";

struct FoundExtension {
    Oid oid;
    char version[NAMEDATALEN];  // as installed; a longer one is cut
};

// False: the database does not have the extension.
bool find_extension(FoundExtension& found);

// The extension's schema by its name. InvalidOid: there is none; the second is an error then.
Oid find_schema();
Oid require_schema();

// Does the schema belong to the extension, and not to a user who has given one of his own the same name?
bool is_schema_of_extension(Oid schema);

// A relation by its name. InvalidOid: the schema is invalid, or has none of this name.
Oid find_relation(Oid schema, const char* name);

// The same in the extension's schema; an error where either is missing.
Oid require_relation(const char* name);

// InvalidOid: the relation is gone.
Oid owner_of_relation(Oid relation);

// The first relation among the extension's members, in the order in which pg_depend names them; InvalidOid: there is none.
Oid first_relation_of(Oid extension);

}  // namespace postgres
