// The SQL functions by which an administrator defines projections. Each function f(...) runs the internal SQL function
// f_as_owner(...) as the extension's owner, with the same arguments.
#include <cstdint>
#include <string_view>

#include "postgres/as_owner.hpp"
#include "postgres/catalog.hpp"
#include "postgres/entry_point.hpp"
#include "postgres/error.hpp"
#include "postgres/spi.hpp"
#include "postgres/sql_function.hpp"
#include "postgres/text.hpp"
#include "projection/locks.hpp"
#include "read_model/registry.hpp"
#include "runtime/installed.hpp"
#include "runtime/wake.hpp"

#include "postgres/pg.hpp"

namespace projection {
namespace {

// P. The statement that calls the internal function.
postgres::Statement statement_of(Oid function, bool names_caller) {
    Oid* types = nullptr;
    int count = 0;
    get_func_signature(function, &types, &count);
    postgres::Statement statement{};
    statement.command = postgres::SqlCommand::kSelect;
    statement.parameter_count = count + (names_caller ? 1 : 0);
    StringInfoData text;
    initStringInfo(&text);
    appendStringInfo(&text, "SELECT telemetry.%s_as_owner(", get_func_name(function));
    if (statement.parameter_count > postgres::kMostParameters) elog(ERROR, "function %u has too many arguments", function);
    for (int i = 0; i < count; ++i) {
        appendStringInfo(&text, "%s$%d", i == 0 ? "" : ", ", i + 1);
        statement.parameter_types[i] = types[i];
    }
    if (names_caller) {
        appendStringInfo(&text, ", $%d", count + 1);
        statement.parameter_types[count] = TEXTOID;
    }
    appendStringInfoChar(&text, ')');
    statement.text = text.data;
    return statement;
}

// P. With `caller`, the role's name is the last argument of the internal function. Returns its result: a bigint, or nothing.
Datum run(FunctionCallInfo fcinfo, const char* caller) {
    postgres::Statement statement = statement_of(fcinfo->flinfo->fn_oid, caller != nullptr);
    Datum values[postgres::kMostParameters + 1];
    char nulls[postgres::kMostParameters + 1];
    for (int i = 0; i < fcinfo->nargs; ++i) {
        values[i] = fcinfo->args[i].value;
        nulls[i] = fcinfo->args[i].isnull ? 'n' : ' ';
    }
    if (caller != nullptr) {
        values[fcinfo->nargs] = postgres::text_datum(std::string_view(caller));
        nulls[fcinfo->nargs] = ' ';
    }
    const postgres::StatementScope statements = postgres::open_statements();
    bool is_null = false;
    const Datum value = postgres::value_of(postgres::execute(statement, values, nulls), 0, 1, &is_null);
    const bool is_number = get_func_rettype(fcinfo->flinfo->fn_oid) == INT8OID;
    const std::int64_t number = is_number ? DatumGetInt64(value) : 0;
    postgres::close_statements(statements);
    return is_number ? Int64GetDatum(number) : 0;
}

// May a pass run beside the function? If not, the function waits for the pass, and the next pass for the function's
// transaction.
enum class BesidePasses : std::uint8_t { kYes, kNo };

Datum administer(FunctionCallInfo fcinfo, const char* caller, BesidePasses beside_passes = BesidePasses::kYes) {
    postgres::guarded([fcinfo] { postgres::require_writable(psprintf("%s()", get_func_name(fcinfo->flinfo->fn_oid))); });
    Datum result = 0;
    {
        const postgres::AsOwner as_owner(runtime::hold_installed().owner);
        if (beside_passes == BesidePasses::kNo) postgres::guarded(take_apply_lock);
        result = postgres::guarded([fcinfo, caller] { return run(fcinfo, caller); });
    }
    runtime::wake_at_commit(runtime::Role::kProjector);
    return result;
}

}  // namespace
}  // namespace projection

TELEMETRY_FUNCTION(telemetry_administer) {
    return projection::administer(fcinfo, nullptr);
}

TELEMETRY_FUNCTION(telemetry_administer_between_passes) {
    return projection::administer(fcinfo, nullptr, projection::BesidePasses::kNo);
}

TELEMETRY_FUNCTION(telemetry_create_handler_projection) {
    const char* caller = postgres::guarded([] { return static_cast<const char*>(GetUserNameFromId(GetUserId(), false)); });
    projection::administer(fcinfo, caller);
    PG_RETURN_VOID();
}

TELEMETRY_FUNCTION(telemetry_make_automatic) {
    postgres::guarded([fcinfo] {
        postgres::FoundExtension extension;
        if (!postgres::find_extension(extension)) elog(ERROR, "the extension is gone");
        const ObjectAddress relation = {RelationRelationId, PG_GETARG_OID(0), 0};
        const ObjectAddress referenced = {ExtensionRelationId, extension.oid, 0};
        recordDependencyOn(&relation, &referenced, DEPENDENCY_AUTO_EXTENSION);
        CommandCounterIncrement();
    });
    PG_RETURN_VOID();
}

TELEMETRY_FUNCTION(telemetry_require_projection) {
    const std::string_view projection = postgres::text_argument(fcinfo, 0);
    read_model::require_projection(projection, postgres::guarded([] { return GetActiveSnapshot(); }));
    PG_RETURN_VOID();
}
