// Builds the statement from the signature of the function that was called.
#include "postgres/internal_function.hpp"

#include <cstdint>
#include <string_view>

#include "postgres/spi.hpp"
#include "postgres/text.hpp"

#include "postgres/pg.hpp"

namespace postgres {
namespace {

// P. The statement that calls the internal function.
Statement statement_of(Oid function, bool names_caller) {
    Oid* types = nullptr;
    int count = 0;
    get_func_signature(function, &types, &count);
    Statement statement{};
    statement.command = SqlCommand::kSelect;
    statement.parameter_count = count + (names_caller ? 1 : 0);
    StringInfoData text;
    initStringInfo(&text);
    appendStringInfo(&text, "SELECT telemetry.%s_as_owner(", get_func_name(function));
    if (statement.parameter_count > kMostParameters) elog(ERROR, "function %u has too many arguments", function);
    for (int i = 0; i < count; ++i) {
        appendStringInfo(&text, "%s$%d", i == 0 ? "" : ", ", i + 1);
        statement.parameter_types[i] = types[i];
    }
    if (names_caller) {
        appendStringInfo(&text, "%s$%d", count == 0 ? "" : ", ", count + 1);
        statement.parameter_types[count] = TEXTOID;
    }
    appendStringInfoChar(&text, ')');
    statement.text = text.data;
    return statement;
}

}  // namespace

Datum run_internal_function(FunctionCallInfo fcinfo, const char* caller) {
    Statement statement = statement_of(fcinfo->flinfo->fn_oid, caller != nullptr);
    Datum values[kMostParameters + 1];
    char nulls[kMostParameters + 1];
    for (int i = 0; i < fcinfo->nargs; ++i) {
        values[i] = fcinfo->args[i].value;
        nulls[i] = fcinfo->args[i].isnull ? 'n' : ' ';
    }
    if (caller != nullptr) {
        values[fcinfo->nargs] = text_datum(std::string_view(caller));
        nulls[fcinfo->nargs] = ' ';
    }
    std::int16_t size = 0;
    bool is_by_value = false;
    const Oid type = get_func_rettype(fcinfo->flinfo->fn_oid);
    get_typlenbyval(type, &size, &is_by_value);
    const MemoryContext callers = CurrentMemoryContext;
    const StatementScope statements = open_statements();
    Datum value = value_of(execute(statement, values, nulls), 0, 1, &fcinfo->isnull);
    MemoryContextSwitchTo(callers);
    value = fcinfo->isnull ? 0 : datumCopy(value, is_by_value, size);
    close_statements(statements);
    if (type == VOIDOID) fcinfo->isnull = false;
    return value;
}

const char* name_of_current_user() {
    return GetUserNameFromId(GetUserId(), false);
}

}  // namespace postgres
