// The settings under which the owner's code runs, whatever the caller's are.
//
// They are those that a caller can set and that decide which function, operator, trigger or policy runs, how SQL in a function
// is read, or which rows a query sees. Left as the caller has them are settings that only shape a value's text (DateStyle,
// TimeZone, IntervalStyle, bytea_output, extra_float_digits, lc_*), choose a plan (enable_*, jit, ...), place a new table
// (default_tablespace, default_table_access_method) or end a statement (timeouts): with those every trigger of any table lives.
// `role` says nothing here: the user is switched beneath it, and SET ROLE is refused in this scope.
#include "postgres/as_owner.hpp"

#include "postgres/error.hpp"

#include "postgres/pg.hpp"

namespace postgres {
namespace {

// P. Settings of superusers as well: the caller may have got the right to set them.
void set_locally(const char* setting, const char* value) {
    (void)set_config_option(setting, value, PGC_SUSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

// P. Setting what is set already costs a few microseconds, looking nothing.
void take_owners_settings() {
    constexpr const char* kSearchPath = "pg_catalog, pg_temp";
    if (strcmp(namespace_search_path, kSearchPath) != 0) set_locally("search_path", kSearchPath);
    if (SessionReplicationRole != SESSION_REPLICATION_ROLE_ORIGIN) set_locally("session_replication_role", "origin");
    if (!row_security) set_locally("row_security", "on");
    if (!standard_conforming_strings) set_locally("standard_conforming_strings", "on");
    if (Transform_null_equals) set_locally("transform_null_equals", "off");
    if (!Array_nulls) set_locally("array_nulls", "on");
    if (GinFuzzySearchLimit != 0) set_locally("gin_fuzzy_search_limit", "0");
}

}  // namespace

AsOwner::AsOwner(Oid owner) {
    guarded([] { take_owners_settings(); });
    GetUserIdAndSecContext(&caller_, &caller_context_);
    SetUserIdAndSecContext(owner, caller_context_ | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
}

void AsOwner::set(const char* setting, const char* value) {
    guarded([=] { set_locally(setting, value); });
}

}  // namespace postgres
