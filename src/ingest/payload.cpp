// Building payloads. This file is written wholly in P.
#include "ingest/payload.hpp"

#include <optional>
#include <string_view>

#include "model/event_json.hpp"

#include "postgres/pg.hpp"

namespace ingest {
namespace {

constexpr int kMostTextBytes = 4096;
constexpr std::size_t kMostJsonBytes = 64 * 1024;

// Of a member that was cut or left out: how many bytes it had.
struct Truncated {
    std::string_view name;
    std::size_t bytes;
};

// Writes members of at most a certain size, and notes those that were larger. The jsonb is built at the end, so all texts live
// until then.
struct PayloadWriter {
    JsonbParseState* state;
    Truncated truncated[4];
    int truncated_count;

    void push_string(JsonbIteratorToken token, std::string_view value) {
        JsonbValue string;
        string.type = jbvString;
        string.val.string.val = const_cast<char*>(value.data());
        string.val.string.len = static_cast<int>(value.size());
        pushJsonbValue(&state, token, &string);
    }
    void name(std::string_view name) { push_string(WJB_KEY, name); }
    void text(std::string_view member, std::string_view value) {
        const auto bytes = static_cast<int>(value.size());
        if (bytes > kMostTextBytes) {
            truncated[truncated_count++] = {member, value.size()};
            value = value.substr(0, static_cast<std::size_t>(pg_mbcliplen(value.data(), bytes, kMostTextBytes)));
        }
        name(member);
        push_string(WJB_VALUE, value);
    }
    void time(std::string_view member, model::Micros at) {
        text(member, JsonEncodeDateTime(nullptr, TimestampTzGetDatum(at), TIMESTAMPTZOID, nullptr));
    }
    // Exactly, whatever the session's extra_float_digits. JSON has no NaN and no infinity: they are kept as text.
    void number(std::string_view member, double value) {
        auto* digits = static_cast<char*>(palloc(DOUBLE_SHORTEST_DECIMAL_LEN));
        double_to_shortest_decimal_buf(value, digits);
        if (isnan(value) || isinf(value)) return text(member, digits);
        name(member);
        JsonbValue number;
        number.type = jbvNumeric;
        number.val.numeric = DatumGetNumeric(
            DirectFunctionCall3(numeric_in, CStringGetDatum(digits), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
        pushJsonbValue(&state, WJB_VALUE, &number);
    }
    void metrics(std::string_view member, Jsonb& metrics) {
        if (VARSIZE(&metrics) > kMostJsonBytes) {
            truncated[truncated_count++] = {member, VARSIZE(&metrics)};
            return;
        }
        name(member);
        JsonbValue value;
        value.type = jbvBinary;
        value.val.binary.data = &metrics.root;
        value.val.binary.len = static_cast<int>(VARSIZE(&metrics) - VARHDRSZ);
        pushJsonbValue(&state, WJB_VALUE, &value);
    }
    void truncations() {
        if (truncated_count == 0) return;
        name("truncated");
        pushJsonbValue(&state, WJB_BEGIN_OBJECT, nullptr);
        for (const Truncated* each = truncated; each < truncated + truncated_count; ++each) {
            name(each->name);
            JsonbValue bytes;
            bytes.type = jbvNumeric;
            bytes.val.numeric = int64_to_numeric(static_cast<int64>(each->bytes));
            pushJsonbValue(&state, WJB_VALUE, &bytes);
        }
        pushJsonbValue(&state, WJB_END_OBJECT, nullptr);
    }
};

std::optional<std::string_view> optional_view(const text* value) {
    if (value == nullptr) return std::nullopt;
    return std::string_view{VARDATA_ANY(value), static_cast<std::size_t>(VARSIZE_ANY_EXHDR(value))};
}

template <typename Value>
std::optional<Value> if_sent(bool is_sent, Value value) {
    if (!is_sent) return std::nullopt;
    return value;
}

}  // namespace

Jsonb* payload_of(const Request& request) {
    const model::EventFields fields{.device_id = optional_view(request.device_id),
                                    .region = optional_view(request.region),
                                    .measured_at = if_sent<model::Micros>(request.has_measured_at, request.measured_at),
                                    .received_at = {},
                                    .temperature = if_sent(request.has_temperature, request.temperature),
                                    .humidity = if_sent(request.has_humidity, request.humidity),
                                    .idempotency_key = optional_view(request.idempotency_key)};
    PayloadWriter writer{};
    pushJsonbValue(&writer.state, WJB_BEGIN_OBJECT, nullptr);
    model::write_event_members(fields, request.metrics, writer);
    writer.truncations();
    return JsonbValueToJsonb(pushJsonbValue(&writer.state, WJB_END_OBJECT, nullptr));
}

}  // namespace ingest
