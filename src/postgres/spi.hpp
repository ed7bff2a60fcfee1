// The one way to run SQL from C++; it checks every result. This file is written wholly in P. A statement may run any code of
// the server and of users (defaults, constraints, triggers). No object with a destructor may live across a call.
//
// The caller acts as the extension's owner, or as the role of a client of HTTP. Everything runs under the owner's settings
// (postgres/as_owner.hpp).
#pragma once

#include <cstdint>

#include "postgres/pg.hpp"

namespace postgres {

constexpr int kMostParameters = 12;

enum class SqlCommand : int {
    kSelect = SPI_OK_SELECT,  // runs under the active snapshot and writes nothing
    kInsert = SPI_OK_INSERT,
    kInsertReturning = SPI_OK_INSERT_RETURNING,
    kUpdate = SPI_OK_UPDATE,
    kDelete = SPI_OK_DELETE,
    kUtility = SPI_OK_UTILITY
};

// A statement with its parameters. `plan` starts as null, and `execute_kept` keeps its plan there.
struct Statement {
    SqlCommand command;
    const char* text;
    int parameter_count;
    Oid parameter_types[kMostParameters];
    SPIPlanPtr plan;
    bool sees_own_writes = false;  // of a SELECT: its snapshot is a new one, and it may have FOR UPDATE
};

// The result of one statement. It lives until the statements are closed.
struct StatementResult {
    std::uint64_t row_count;
    SPITupleTable* table;  // null where the statement returns no rows
};

// The scope in which statements run, under the owner's settings. `close_statements` frees their results and restores the
// settings. After an error the abort does both.
struct StatementScope {
    int settings_level;
};
StatementScope open_statements();
void close_statements(const StatementScope& statements);

// Sets a setting until the statements are closed.
void set_for_statements(const char* setting, const char* value);

// Runs a statement, with a plan for these values that is not kept. Any outcome but that of its command is an error. A rule that
// a user made may turn the command into another one, and then the result counts no row. `nulls` is as SPI takes it; null: no
// value is NULL.
StatementResult execute(const Statement& statement, Datum* values, const char* nulls = nullptr);

// Does the same with a plan that the session makes once. The statement has static storage duration.
StatementResult execute_kept(Statement& statement, Datum* values, const char* nulls = nullptr);

// Runs a SELECT and puts its rows into `rows`, whose columns have the same types. So no result lies in memory as a whole.
void execute_into(const Statement& statement, Datum* values, Tuplestorestate* rows);

// The value of a column of a returned row. Rows are numbered from 0, columns from 1.
Datum value_of(const StatementResult& result, std::uint64_t row, int column, bool* is_null);

// The value as its type prints it, in memory that lives as long as the statements. Null: the value is NULL.
char* printed_value_of(const StatementResult& result, std::uint64_t row, int column);

// These are for a procedure that CALL runs outside a transaction block. It may end its transaction and begin the next one as
// often as it likes.
void open_own_transactions();
void begin_next_transaction();  // commits the one before
void close_own_transactions();

}  // namespace postgres
