// SQL function register_device: the door into the registry.
#include "device/registry.hpp"
#include "ingest/command.hpp"
#include "ingest/door.hpp"
#include "ingest/refused.hpp"
#include "model/validation.hpp"
#include "postgres/encoding.hpp"
#include "postgres/entry_point.hpp"
#include "postgres/sql_function.hpp"
#include "postgres/text.hpp"

#include "postgres/pg.hpp"

TELEMETRY_FUNCTION(telemetry_register_device) {
    const ingest::Door door("register_device()");
    struct Arguments {
        text* device_id;
        text* region;
        Interval* expected_interval;
        Jsonb* attributes;
    };
    const Arguments sent = postgres::guarded([fcinfo] {
        return Arguments{postgres::optional_text(fcinfo, 0), postgres::optional_text(fcinfo, 1),
                         PG_ARGISNULL(2) ? nullptr : PG_GETARG_INTERVAL_P(2), PG_ARGISNULL(3) ? nullptr : PG_GETARG_JSONB_P(3)};
    });
    // The names obey the same rules as in a reading.
    model::DeviceNames names{};
    if (sent.device_id != nullptr) names.device_id = postgres::view_of(sent.device_id);
    if (sent.region != nullptr) names.region = postgres::view_of(sent.region);
    const model::Utf8Conversion to_utf8 = postgres::utf8_conversion();
    const model::Refusal refusal = model::refusal_of(names, to_utf8);
    if (refusal != model::Refusal::kNone)
        ingest::raise(ingest::refuse_reading(0, model::describe(refusal, names, to_utf8)), false);
    PG_RETURN_BOOL(device::register_one(sent.device_id, sent.region, sent.expected_interval, sent.attributes));
}
