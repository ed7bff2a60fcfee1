// Asks the server's catalogue about the extension, with one function for each question. This file is written wholly in P. No
// function locks what it finds, so an answer may be old at once. The caller locks the object and asks again, or it holds the
// extension's anchor (runtime/anchor.hpp).
#pragma once

#include "postgres/pg.hpp"

namespace postgres {

inline constexpr const char* kExtensionName = "telemetry_cqrs";
inline constexpr const char* kSchemaName = "telemetry";

struct FoundExtension {
    Oid oid;
    char version[NAMEDATALEN];  // as installed; a longer one is cut
};

// Fills in `found`. False: the database does not have the extension.
bool find_extension(FoundExtension& found);

// The extension's schema by its name. Where there is none, find_schema gives InvalidOid and require_schema raises an error.
Oid find_schema();
Oid require_schema();

// Does the schema belong to the extension? A user may have given a schema of his own the same name.
bool is_schema_of_extension(Oid schema);

// A relation by its name. InvalidOid: the schema is invalid, or it has no relation of this name.
Oid find_relation(Oid schema, const char* name);

// A relation of the extension's schema by its name. Raises an error where the schema or the relation is missing.
Oid require_relation(const char* name);

// The owner of a relation. InvalidOid: the relation is gone.
Oid owner_of_relation(Oid relation);

// The first relation among the extension's members, in the order of pg_depend. InvalidOid: it has none.
Oid first_relation_of(Oid extension);

}  // namespace postgres
