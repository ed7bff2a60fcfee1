// SQL function set_device_policy: the door to the policies of single devices. An SQL function of the owner does the rest.
#include "ingest/device_names.hpp"
#include "ingest/door.hpp"
#include "postgres/entry_point.hpp"
#include "postgres/internal_function.hpp"
#include "postgres/sql_function.hpp"

#include "postgres/pg.hpp"

TELEMETRY_FUNCTION(telemetry_set_device_policy) {
    const ingest::Door door("set_device_policy()");
    const text* device_id = postgres::guarded([fcinfo] { return postgres::optional_text(fcinfo, 0); });
    ingest::require_valid_names(device_id, nullptr);
    postgres::guarded([fcinfo] { return postgres::run_internal_function(fcinfo, nullptr); });
    PG_RETURN_VOID();
}
