// The one way to run SQL from C, with every result checked. This file is written wholly in P. A statement may run any code of
// the server and of users (defaults, constraints, triggers). No object with a destructor may live across a call.
//
// The caller acts as the extension's owner (postgres/as_owner.hpp): its settings are those under which triggers run.
#pragma once

#include <cstdint>

#include "postgres/pg.hpp"

namespace postgres {

constexpr int kMostParameters = 8;

enum class SqlCommand : int {
    kSelect = SPI_OK_SELECT,  // under the active snapshot, and writes nothing
    kInsert = SPI_OK_INSERT,
    kInsertReturning = SPI_OK_INSERT_RETURNING,
    kUpdate = SPI_OK_UPDATE,
    kDelete = SPI_OK_DELETE,
    kUtility = SPI_OK_UTILITY
};

// A statement with its parameters. `plan` is null; `execute_kept` keeps its plan there.
struct Statement {
    SqlCommand command;
    const char* text;
    int parameter_count;
    Oid parameter_types[kMostParameters];
    SPIPlanPtr plan;
};

// What a statement processed or returned, until the statements are closed.
struct StatementResult {
    std::uint64_t row_count;
    SPITupleTable* table;  // null where the command returns no rows
};

// Opens what statements run in; `close_statements` frees their results and gives back the settings. After an error the abort
// does both.
struct StatementScope {
    int settings_level;  // nest level
};
StatementScope open_statements();
void close_statements(const StatementScope& statements);

// Until the statements are closed.
void set_for_statements(const char* setting, const char* value);

// Runs a statement that is planned for these values and forgotten. Any outcome but that of its command is an error; a rule that
// a user made may turn the command into another one, and then no row is processed. `nulls` as SPI has it; null: no value is
// NULL.
StatementResult execute(const Statement& statement, Datum* values, const char* nulls = nullptr);

// The same with a plan that the session makes once. The statement has static storage duration.
StatementResult execute_kept(Statement& statement, Datum* values, const char* nulls = nullptr);

// A column of a returned row; rows are numbered from 0, columns from 1.
Datum value_of(const StatementResult& result, std::uint64_t row, int column, bool* is_null);

// The same as printed by its type, in memory that lives as long as the statements; null for NULL.
char* printed_value_of(const StatementResult& result, std::uint64_t row, int column);

// A procedure that CALL runs outside a transaction block may end its transaction and begin the next one as often as it likes.
void open_own_transactions();
void begin_next_transaction();  // commits the one before
void close_own_transactions();

}  // namespace postgres
