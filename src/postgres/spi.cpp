// Runs statements through SPI. This file is written wholly in P.
#include "postgres/spi.hpp"

#include "postgres/as_owner.hpp"

#include "postgres/pg.hpp"

namespace postgres {
namespace {

void require(int result, int expected, const char* what) {
    if (result != expected) elog(ERROR, "%s: %s", what, SPI_result_code_string(result));
}

bool is_read_only(const Statement& statement) {
    return statement.command == SqlCommand::kSelect && !statement.sees_own_writes;
}

// SPI's globals are read at once, because the next statement overwrites them.
StatementResult checked(const Statement& statement, int outcome) {
    if (outcome != static_cast<int>(statement.command) && outcome != SPI_OK_REWRITTEN)
        elog(ERROR, "cannot execute \"%s\": %s", statement.text, SPI_result_code_string(outcome));
    return {SPI_processed, SPI_tuptable};
}

}  // namespace

StatementScope open_statements() {
    const StatementScope statements{NewGUCNestLevel()};
    take_owners_settings();
    require(SPI_connect(), SPI_OK_CONNECT, "cannot connect to SPI");
    return statements;
}

void close_statements(const StatementScope& statements) {
    require(SPI_finish(), SPI_OK_FINISH, "cannot disconnect from SPI");
    AtEOXact_GUC(false, statements.settings_level);
}

void set_for_statements(const char* setting, const char* value) {
    if (set_config_option(setting, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false) <= 0)
        elog(ERROR, "cannot set %s to \"%s\"", setting, value);
}

StatementResult execute(const Statement& statement, Datum* values, const char* nulls) {
    auto* types = const_cast<Oid*>(statement.parameter_types);
    return checked(statement, SPI_execute_with_args(statement.text, statement.parameter_count, types, values, nulls,
                                                    is_read_only(statement), 0));
}

StatementResult execute_kept(Statement& statement, Datum* values, const char* nulls) {
    if (statement.plan == nullptr) {
        SPIPlanPtr plan = SPI_prepare(statement.text, statement.parameter_count, statement.parameter_types);
        if (plan == nullptr) elog(ERROR, "cannot prepare \"%s\": %s", statement.text, SPI_result_code_string(SPI_result));
        require(SPI_keepplan(plan), 0, "cannot keep a plan");
        statement.plan = plan;
    }
    return checked(statement, SPI_execute_plan(statement.plan, values, nulls, is_read_only(statement), 0));
}

void execute_into(const Statement& statement, Datum* values, Tuplestorestate* rows) {
    ParamListInfo parameters = makeParamList(statement.parameter_count);
    for (int i = 0; i < statement.parameter_count; ++i)
        parameters->params[i] = {values[i], false, PARAM_FLAG_CONST, statement.parameter_types[i]};
    SPIExecuteOptions options{};
    options.params = parameters;
    options.read_only = is_read_only(statement);
    options.dest = CreateDestReceiver(DestTuplestore);
    SetTuplestoreDestReceiverParams(options.dest, rows, CurrentMemoryContext, false, nullptr, nullptr);
    (void)checked(statement, SPI_execute_extended(statement.text, &options));
    options.dest->rDestroy(options.dest);
}

Datum value_of(const StatementResult& result, std::uint64_t row, int column, bool* is_null) {
    const Datum value = SPI_getbinval(result.table->vals[row], result.table->tupdesc, column, is_null);
    require(SPI_result, 0, "cannot read a column");
    return value;
}

char* printed_value_of(const StatementResult& result, std::uint64_t row, int column) {
    char* value = SPI_getvalue(result.table->vals[row], result.table->tupdesc, column);
    require(SPI_result, 0, "cannot print a column");
    return value;
}

void open_own_transactions() {
    require(SPI_connect_ext(SPI_OPT_NONATOMIC), SPI_OK_CONNECT, "cannot connect to SPI");
}

void begin_next_transaction() {
    SPI_commit();
}

void close_own_transactions() {
    require(SPI_finish(), SPI_OK_FINISH, "cannot disconnect from SPI");
}

}  // namespace postgres
