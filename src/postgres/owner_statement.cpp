// Running statements through SPI. This file is written wholly in P.
#include "postgres/owner_statement.hpp"

#include "postgres/pg.hpp"

namespace postgres {

OwnerStatements open_statements() {
    const OwnerStatements statements{NewGUCNestLevel()};
    if (SPI_connect() != SPI_OK_CONNECT) elog(ERROR, "SPI_connect failed");
    return statements;
}

void close_statements(const OwnerStatements& statements) {
    SPI_finish();
    AtEOXact_GUC(false, statements.settings);
}

void set_for_statements(const char* setting, const char* value) {
    (void)set_config_option(setting, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

uint64 execute(OwnerStatement& statement, Datum* values, const char* nulls) {
    if (statement.plan == nullptr) {
        SPIPlanPtr plan = SPI_prepare(statement.text, statement.parameters, statement.types);
        if (plan == nullptr) elog(ERROR, "cannot prepare \"%s\": %s", statement.text, SPI_result_code_string(SPI_result));
        SPI_keepplan(plan);
        statement.plan = plan;
    }
    const int result = SPI_execute_plan(statement.plan, values, nulls, false, 0);
    if (result < 0) elog(ERROR, "cannot execute \"%s\": %s", statement.text, SPI_result_code_string(result));
    return SPI_processed;
}

}  // namespace postgres
