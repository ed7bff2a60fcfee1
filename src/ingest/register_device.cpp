// SQL functions register_device, relocate_device and set_expected_interval: the doors into the registry.
#include <optional>
#include <string>
#include <string_view>

#include "device/registration.hpp"
#include "error_codes.hpp"
#include "ingest/device_names.hpp"
#include "ingest/door.hpp"
#include "model/name_text.hpp"
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

std::string words_of(const std::optional<std::string_view>& region) {
    return region ? "region " + model::quoted_for_message(*region) : "no region";
}

// Tells the client that a known device is registered otherwise than it says.
void tell_difference(std::string_view device_id, std::optional<std::string_view> region, const device::Registration& known) {
    std::string detail, hint;
    const auto add = [](std::string& text, const char* separator, const std::string& more) {
        if (!text.empty()) text += separator;
        text += more;
    };
    if (known.has_other_region) {
        add(detail, "; ", "it has " + words_of(known.region) + ", and the call says " + words_of(region));
        add(hint, ", ", "telemetry.relocate_device() changes the region");
    }
    if (known.has_other_interval) {
        add(detail, "; ", "it has another expected_interval");
        add(hint, ", ", "telemetry.set_expected_interval() changes the interval");
    }
    if (known.has_other_attributes) {
        add(detail, "; ", "it has other attributes");
        add(hint, ", ", "an UPDATE of telemetry.device changes the attributes");
    }
    if (detail.empty()) return;
    detail = postgres::presentable("Device " + model::quoted_for_message(device_id) + " is registered: " + detail + ".");
    hint += '.';
    postgres::guarded([detail_words = detail.c_str(), hint_words = hint.c_str()] {
        ereport(NOTICE, (errmsg("device is known already, and nothing is changed"), errdetail("%s", detail_words),
                         errhint("%s", hint_words)));
    });
}

[[noreturn]] void refuse_unknown(const text* device_id) {
    throw postgres::Error(
        error_codes::kUnknownDevice, "the device is not registered",
        device_id == nullptr
            ? "The device id is NULL."
            : postgres::presentable("The device id is " + model::quoted_for_message(postgres::view_of(device_id)) + "."),
        "telemetry.register_device() registers a device.");
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
    ingest::require_valid_names(sent.device_id, sent.region);
    ingest::require_sensible(sent.expected_interval);
    const device::Registration registration =
        device::register_one(sent.device_id, sent.region, sent.expected_interval, sent.attributes);
    if (!registration.is_new)
        ingest::tell_difference(postgres::view_of(sent.device_id), postgres::optional_view_of(sent.region), registration);
    PG_RETURN_BOOL(registration.is_new);
}

TELEMETRY_FUNCTION(telemetry_relocate_device) {
    const ingest::Door door("relocate_device()");
    struct Arguments {
        text* device_id;
        text* region;
    };
    const Arguments sent = postgres::guarded([fcinfo] {
        return Arguments{postgres::optional_text(fcinfo, 0), postgres::optional_text(fcinfo, 1)};
    });
    ingest::require_valid_names(sent.device_id, sent.region);
    const device::Relocation relocation = device::relocate(sent.device_id, sent.region);
    if (relocation == device::Relocation::kUnknownDevice) ingest::refuse_unknown(sent.device_id);
    PG_RETURN_BOOL(relocation == device::Relocation::kRelocated);
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
        ingest::refuse_unknown(sent.device_id);
    PG_RETURN_VOID();
}
