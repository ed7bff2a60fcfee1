// SQL functions register_device and set_expected_interval: the doors into the registry.
#include <string>

#include "device/registry.hpp"
#include "error_codes.hpp"
#include "ingest/door.hpp"
#include "ingest/refused.hpp"
#include "model/judge.hpp"
#include "model/refusal_text.hpp"
#include "postgres/encoding.hpp"
#include "postgres/entry_point.hpp"
#include "postgres/sql_function.hpp"
#include "postgres/text.hpp"

#include "postgres/pg.hpp"

namespace ingest {
namespace {

constexpr int kMostDays = 365;

// Error(22023) for an interval in which nobody can expect a reading. A month counts as 30 days.
void require_sensible(Interval* expected_interval) {
    if (expected_interval == nullptr) return;
    const bool is_sensible = postgres::guarded([expected_interval] {
        Interval least{}, most{};
        most.day = kMostDays;
        const auto compare = [expected_interval](Interval& limit) {
            return DatumGetInt32(
                DirectFunctionCall2(interval_cmp, IntervalPGetDatum(expected_interval), IntervalPGetDatum(&limit)));
        };
        return compare(least) > 0 && compare(most) <= 0;
    });
    if (is_sensible) return;
    const char* shown = postgres::guarded([expected_interval] {
        return static_cast<const char*>(
            DatumGetCString(DirectFunctionCall1(interval_out, IntervalPGetDatum(expected_interval))));
    });
    throw postgres::Error(ERRCODE_INVALID_PARAMETER_VALUE, "expected interval is out of range",
                          "The interval is " + std::string(shown) + ".",
                          "Give a time of more than 0 and at most 365 days, or NULL.");
}

}  // namespace
}  // namespace ingest

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
        ingest::raise(ingest::refuse_reading(0, model::describe(refusal, names, to_utf8)), 0, false);
    ingest::require_sensible(sent.expected_interval);
    PG_RETURN_BOOL(device::register_one(sent.device_id, sent.region, sent.expected_interval, sent.attributes));
}

TELEMETRY_FUNCTION(telemetry_set_expected_interval) {
    const ingest::Door door("set_expected_interval()");
    struct Arguments {
        text* device_id;
        Interval* expected_interval;
    };
    const Arguments sent = postgres::guarded([fcinfo] {
        return Arguments{postgres::optional_text(fcinfo, 0), PG_ARGISNULL(1) ? nullptr : PG_GETARG_INTERVAL_P(1)};
    });
    ingest::require_sensible(sent.expected_interval);
    if (sent.device_id == nullptr || !device::set_expected_interval(sent.device_id, sent.expected_interval))
        throw postgres::Error(error_codes::kUnknownDevice, "the device is not registered",
                              sent.device_id == nullptr
                                  ? "The device id is NULL."
                                  : "The device id is \"" + std::string(postgres::view_of(sent.device_id)) + "\".",
                              "telemetry.register_device() registers a device.");
    PG_RETURN_VOID();
}
