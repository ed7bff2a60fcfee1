// register_device(...): the door into the registry.
#include "device/registry.hpp"
#include "ingest/command.hpp"
#include "ingest/door.hpp"
#include "ingest/refused.hpp"
#include "model/validation.hpp"
#include "postgres/encoding.hpp"
#include "postgres/entry_point.hpp"

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
        return Arguments{PG_ARGISNULL(0) ? nullptr : PG_GETARG_TEXT_PP(0), PG_ARGISNULL(1) ? nullptr : PG_GETARG_TEXT_PP(1),
                         PG_ARGISNULL(2) ? nullptr : PG_GETARG_INTERVAL_P(2), PG_ARGISNULL(3) ? nullptr : PG_GETARG_JSONB_P(3)};
    });
    // A registration obeys the rules of a reading's device and region.
    model::DeviceNames names{};
    if (sent.device_id != nullptr)
        names.device_id = {VARDATA_ANY(sent.device_id), static_cast<std::size_t>(VARSIZE_ANY_EXHDR(sent.device_id))};
    if (sent.region != nullptr)
        names.region = {VARDATA_ANY(sent.region), static_cast<std::size_t>(VARSIZE_ANY_EXHDR(sent.region))};
    const model::Utf8Form utf8_form = postgres::utf8_conversion();
    const model::Refusal refusal = model::refusal_of(names, utf8_form);
    if (refusal != model::Refusal::kNone)
        ingest::raise(ingest::refuse_reading(0, model::describe(refusal, names, utf8_form)), false);
    PG_RETURN_BOOL(device::register_one(sent.device_id, sent.region, sent.expected_interval, sent.attributes));
}
