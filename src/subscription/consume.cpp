// SQL functions with which consumers answer leases, and administrators define subscriptions and instruct the relay. Each
// function f(...) runs the internal SQL function f_as_owner(..., caller) as the extension's owner.
#include <string_view>

#include "postgres/as_owner.hpp"
#include "postgres/entry_point.hpp"
#include "postgres/error.hpp"
#include "postgres/internal_function.hpp"
#include "postgres/spi.hpp"
#include "postgres/sql_function.hpp"
#include "postgres/text.hpp"
#include "runtime/installed.hpp"
#include "runtime/wake.hpp"

#include "postgres/pg.hpp"

namespace subscription {
namespace {

// It is called for each lease, so its plan is kept.
postgres::Statement ack{
    postgres::SqlCommand::kSelect, "SELECT telemetry.ack_as_owner($1, $2, $3)", 3, {TEXTOID, INT8OID, TEXTOID}, nullptr};

Datum run_as_owner(FunctionCallInfo fcinfo) {
    const char* caller = postgres::guarded([fcinfo] {
        postgres::require_writable(psprintf("%s()", get_func_name(fcinfo->flinfo->fn_oid)));
        return postgres::name_of_current_user();
    });
    const postgres::AsOwner as_owner(runtime::hold_installed().owner);
    return postgres::guarded([fcinfo, caller] { return postgres::run_internal_function(fcinfo, caller); });
}

}  // namespace
}  // namespace subscription

TELEMETRY_FUNCTION(telemetry_ack) {
    const char* caller = postgres::guarded([] {
        postgres::require_writable("ack()");
        return postgres::name_of_current_user();
    });
    const postgres::AsOwner as_owner(runtime::hold_installed().owner);
    postgres::guarded([fcinfo, caller] {
        Datum values[] = {PG_GETARG_DATUM(0), PG_GETARG_DATUM(1), postgres::text_datum(std::string_view(caller))};
        const char nulls[] = {PG_ARGISNULL(0) ? 'n' : ' ', PG_ARGISNULL(1) ? 'n' : ' ', ' ', '\0'};
        const postgres::StatementScope statements = postgres::open_statements();
        postgres::execute_kept(subscription::ack, values, nulls);
        postgres::close_statements(statements);
    });
    PG_RETURN_VOID();
}

TELEMETRY_FUNCTION(telemetry_use_subscription) {
    return subscription::run_as_owner(fcinfo);
}

TELEMETRY_FUNCTION(telemetry_instruct_relay) {
    const Datum changed = subscription::run_as_owner(fcinfo);
    runtime::wake_at_commit(runtime::Role::kRelay);
    return changed;
}
