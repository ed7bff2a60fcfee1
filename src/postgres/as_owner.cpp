// Sets the settings under which code of the owner runs, whatever the caller has set.
//
// It sets those that a caller can set and that decide one of three things: which function, operator, trigger or policy runs,
// how the server reads SQL in a function, or which rows a query sees. It leaves the others as the caller has them, because the
// triggers of any table must live with those. They only shape a value's text (DateStyle, TimeZone, IntervalStyle, bytea_output,
// extra_float_digits, lc_*), choose a plan (enable_*, jit, ...), place a new table (default_tablespace,
// default_table_access_method) or end a statement (timeouts). `role` has no effect: the user is switched beneath it, and the
// server refuses SET ROLE in this scope.
#include "postgres/as_owner.hpp"

#include "postgres/error.hpp"

#include "postgres/pg.hpp"

namespace postgres {
namespace {

// P. Sets settings of superusers as well, because a superuser may have given the caller the right to set them.
void set_locally(const char* setting, const char* value) {
    (void)set_config_option(setting, value, PGC_SUSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

}  // namespace

// Looks before it sets: setting a value costs a few microseconds, and looking costs nothing.
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

AsOwner::AsOwner(Oid owner) {
    guarded([] { take_owners_settings(); });
    identity_.emplace(owner);
}

void AsOwner::set(const char* setting, const char* value) {
    guarded([=] { set_locally(setting, value); });
}

}  // namespace postgres
