// Statements of SQL that write tables of ours, so that all counts that somebody put on them: defaults, constraints, triggers.
// This file is written wholly in P.
//
// The caller acts as the extension's owner (postgres/as_owner.hpp): its settings are those under which triggers run.
#pragma once

#include "postgres/pg.hpp"

namespace postgres {

constexpr int kMostParameters = 4;

// A statement and its plan, which is made once a session. An object of static storage duration.
struct OwnerStatement {
    const char* text;
    int parameters;
    Oid types[kMostParameters];
    SPIPlanPtr plan;
};

// Opens what statements run in; close_statements() gives back SPI_tuptable and the settings. After an error the abort does.
struct OwnerStatements {
    int settings;  // nest level
};
OwnerStatements open_statements();
void close_statements(const OwnerStatements& statements);

// Until the statements are closed.
void set_for_statements(const char* setting, const char* value);

// Runs a statement. How many rows it processed; SPI_tuptable holds what it returned.
uint64 execute(OwnerStatement& statement, Datum* values, const char* nulls = nullptr);

}  // namespace postgres
