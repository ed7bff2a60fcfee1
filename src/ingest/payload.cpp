// Builds payloads, with limits on size, and reads them. This file is written wholly in P.
#include "ingest/payload.hpp"

#include <optional>
#include <string_view>

#include "event_log/metrics.hpp"
#include "model/event_json.hpp"
#include "postgres/jsonb.hpp"
#include "postgres/numeric.hpp"

#include "postgres/pg.hpp"

namespace ingest {
namespace {

constexpr std::size_t kMaxTextBytes = 4096;

// A member that was cut or left out, and how many bytes it had.
struct Truncated {
    std::string_view name;
    std::size_t bytes;
};

// Writes members up to the limits, and notes those that were larger.
struct PayloadWriter {
    postgres::JsonbBuilder payload;
    Truncated truncated[4];
    int truncated_count;

    void text(std::string_view member, std::string_view value) {
        if (value.size() > kMaxTextBytes) {
            truncated[truncated_count++] = {member, value.size()};
            const int clipped = pg_mbcliplen(value.data(), static_cast<int>(value.size()), static_cast<int>(kMaxTextBytes));
            value = value.substr(0, static_cast<std::size_t>(clipped));
        }
        postgres::add_text(payload, member, value);
    }
    // Sessions of different time zones write the same reading alike, so that the second one is found to be a repeat.
    void time(std::string_view member, model::Micros at) { postgres::add_utc_time(payload, member, at); }
    void number(std::string_view member, double value) { postgres::add_double(payload, member, value); }
    void metrics(std::string_view member, const Jsonb& metrics) {
        if (postgres::size_of(&metrics) > kMaxMetricsSize)
            truncated[truncated_count++] = {member, postgres::size_of(&metrics)};
        else
            postgres::add_jsonb(payload, member, &metrics);
    }
    void truncations() {
        if (truncated_count == 0) return;
        postgres::open_object(payload, "truncated");
        for (const Truncated* each = truncated; each < truncated + truncated_count; ++each)
            postgres::add_integer(payload, each->name, static_cast<std::int64_t>(each->bytes));
        postgres::close_object(payload);
    }
};

std::optional<std::string_view> if_sent(bool is_sent, std::string_view value) {
    if (!is_sent) return std::nullopt;
    return value;
}

bool read_text(const JsonbValue& value, std::string_view& text) {
    if (value.type != jbvString) return false;
    text = {value.val.string.val, static_cast<std::size_t>(value.val.string.len)};
    return true;
}

// The text is as the server's JSON shows a timestamptz. A text that is no time raises an error (22007).
bool read_time(const JsonbValue& value, std::optional<model::Micros>& at) {
    std::string_view text;
    if (!read_text(value, text)) return false;
    at = DatumGetTimestampTz(DirectFunctionCall3(timestamptz_in, CStringGetDatum(pnstrdup(text.data(), text.size())),
                                                 ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
    return true;
}

// What JSON cannot hold stands as text.
bool read_number(const JsonbValue& value, std::optional<double>& number) {
    if (value.type == jbvNumeric) {
        number = postgres::to_double(value.val.numeric);
        return true;
    }
    std::string_view text;
    if (!read_text(value, text)) return false;
    if (text == "NaN") number = get_float8_nan();
    if (text == "Infinity") number = get_float8_infinity();
    if (text == "-Infinity") number = -get_float8_infinity();
    return number.has_value();
}

bool read_member(std::string_view name, JsonbValue& value, Request& request) {
    model::Reading& reading = request.reading;
    if (name == "metrics") {  // of any shape
        set_metrics(request, postgres::jsonb_of(value));
        return true;
    }
    if (value.type == jbvNull) return true;
    if (name == "device_id") {
        request.has_device_id = true;
        return read_text(value, reading.device_id);
    }
    if (name == "measured_at") return read_time(value, reading.measured_at);
    if (name == "temperature") return read_number(value, reading.temperature);
    if (name == "humidity") return read_number(value, reading.humidity);
    if (name == "region") return read_text(value, reading.region.emplace());
    if (name == "idempotency_key") return read_text(value, reading.idempotency_key.emplace());
    return false;
}

}  // namespace

Jsonb* payload_of(const Request& request) {
    PayloadWriter writer{};
    postgres::open_object(writer.payload);
    if (!request.item.empty()) {
        writer.text("item", request.item);
    } else {
        const model::Reading& reading = request.reading;
        const model::EventFields fields{.device_id = if_sent(request.has_device_id, reading.device_id),
                                        .region = reading.region,
                                        .measured_at = reading.measured_at,
                                        .received_at = {},
                                        .temperature = reading.temperature,
                                        .humidity = reading.humidity,
                                        .idempotency_key = reading.idempotency_key};
        const Jsonb* metrics = request.metrics.value;
        if (metrics == nullptr && !reading.metrics.empty()) metrics = event_log::jsonb_of(reading.metrics);
        model::write_event_members(fields, metrics, writer);
    }
    writer.truncations();
    return postgres::finish_object(writer.payload);
}

// A payload with the member "item" is for the door that knows what the item is. No door reads one here yet.
bool read_payload(Jsonb* payload, Request& request) {
    request = {};
    postgres::MemberWalk walk;
    if (!postgres::begin_members(walk, payload)) return false;
    while (postgres::next_member(walk))
        if (!read_member(walk.name, walk.value, request)) return false;
    return true;
}

std::int64_t delivery_of(const Jsonb* payload, int sqlstate) noexcept {
    return static_cast<std::int64_t>(hash_combine64(postgres::hash_of(payload), static_cast<uint64>(sqlstate)));
}

}  // namespace ingest
