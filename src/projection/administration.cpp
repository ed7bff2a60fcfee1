// The SQL functions by which an administrator defines projections. Each function f(...) runs the internal SQL function
// f_as_owner(...) as the extension's owner, with the same arguments.
#include <cstdint>
#include <string_view>

#include "postgres/as_owner.hpp"
#include "postgres/catalog.hpp"
#include "postgres/entry_point.hpp"
#include "postgres/error.hpp"
#include "postgres/internal_function.hpp"
#include "postgres/sql_function.hpp"
#include "postgres/text.hpp"
#include "projection/locks.hpp"
#include "read_model/registry.hpp"
#include "runtime/installed.hpp"
#include "runtime/wake.hpp"

#include "postgres/pg.hpp"

namespace projection {
namespace {

// May a pass run beside the function? If not, the function waits for the pass, and the next pass for the function's
// transaction.
enum class BesidePasses : std::uint8_t { kYes, kNo };

Datum administer(FunctionCallInfo fcinfo, const char* caller, BesidePasses beside_passes = BesidePasses::kYes) {
    postgres::guarded([fcinfo] { postgres::require_writable(psprintf("%s()", get_func_name(fcinfo->flinfo->fn_oid))); });
    Datum result = 0;
    {
        const postgres::AsOwner as_owner(runtime::hold_installed().owner);
        if (beside_passes == BesidePasses::kNo) postgres::guarded(take_apply_lock);
        result = postgres::guarded([fcinfo, caller] { return postgres::run_internal_function(fcinfo, caller); });
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

// The internal function has a further argument, the name of the role that calls.
TELEMETRY_FUNCTION(telemetry_administer_for_caller) {
    return projection::administer(fcinfo, postgres::guarded(postgres::name_of_current_user));
}

TELEMETRY_FUNCTION(telemetry_create_handler_projection) {
    const char* caller = postgres::guarded(postgres::name_of_current_user);
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
