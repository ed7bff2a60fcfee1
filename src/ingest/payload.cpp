// Building payloads. Written wholly in P.
#include "ingest/payload.hpp"

#include "postgres/pg.hpp"

namespace ingest {
namespace {

constexpr int kMostTextBytes = 4096;
constexpr std::size_t kMostJsonBytes = 64 * 1024;

JsonbValue json_string(const char* bytes, int size) {
    JsonbValue value;
    value.type = jbvString;
    value.val.string.val = const_cast<char*>(bytes);
    value.val.string.len = size;
    return value;
}

void add_name(JsonbParseState** state, const char* name) {
    JsonbValue key = json_string(name, static_cast<int>(strlen(name)));
    pushJsonbValue(state, WJB_KEY, &key);
}

// Of a member that was cut or left out: how many bytes it had.
struct Truncated {
    const char* name;
    std::size_t bytes;
};
struct AllTruncated {
    Truncated members[4];
    int count;
};

void add_text(JsonbParseState** state, const char* name, text* value, AllTruncated& truncated) {
    if (value == nullptr) return;
    add_name(state, name);
    const auto bytes = static_cast<int>(VARSIZE_ANY_EXHDR(value));
    int kept = bytes;
    if (bytes > kMostTextBytes) {
        kept = pg_mbcliplen(VARDATA_ANY(value), bytes, kMostTextBytes);
        truncated.members[truncated.count++] = {name, static_cast<std::size_t>(bytes)};
    }
    JsonbValue string = json_string(VARDATA_ANY(value), kept);
    pushJsonbValue(state, WJB_VALUE, &string);
}

void add_cstring(JsonbParseState** state, const char* name, const char* value) {
    add_name(state, name);
    JsonbValue string = json_string(value, static_cast<int>(strlen(value)));
    pushJsonbValue(state, WJB_VALUE, &string);
}

// Exactly, whatever the session's extra_float_digits. JSON has no NaN and no infinity: they are kept as text.
void add_double(JsonbParseState** state, const char* name, double number) {
    auto* text_form = static_cast<char*>(palloc(DOUBLE_SHORTEST_DECIMAL_LEN));
    double_to_shortest_decimal_buf(number, text_form);
    if (isnan(number) || isinf(number)) return add_cstring(state, name, text_form);
    add_name(state, name);
    JsonbValue value;
    value.type = jbvNumeric;
    value.val.numeric = DatumGetNumeric(
        DirectFunctionCall3(numeric_in, CStringGetDatum(text_form), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
    pushJsonbValue(state, WJB_VALUE, &value);
}

void add_json(JsonbParseState** state, const char* name, Jsonb* json, AllTruncated& truncated) {
    if (json == nullptr) return;
    if (VARSIZE(json) > kMostJsonBytes) {
        truncated.members[truncated.count++] = {name, VARSIZE(json)};
        return;
    }
    add_name(state, name);
    JsonbValue value;
    value.type = jbvBinary;
    value.val.binary.data = &json->root;
    value.val.binary.len = static_cast<int>(VARSIZE(json) - VARHDRSZ);
    pushJsonbValue(state, WJB_VALUE, &value);
}

void add_truncated(JsonbParseState** state, const AllTruncated& truncated) {
    if (truncated.count == 0) return;
    add_name(state, "truncated");
    pushJsonbValue(state, WJB_BEGIN_OBJECT, nullptr);
    for (const Truncated* each = truncated.members; each < truncated.members + truncated.count; ++each) {
        add_name(state, each->name);
        JsonbValue bytes;
        bytes.type = jbvNumeric;
        bytes.val.numeric = int64_to_numeric(static_cast<int64>(each->bytes));
        pushJsonbValue(state, WJB_VALUE, &bytes);
    }
    pushJsonbValue(state, WJB_END_OBJECT, nullptr);
}

}  // namespace

Jsonb* payload_of(const Request& request) {
    char time[MAXDATELEN + 1];
    AllTruncated truncated{};
    JsonbParseState* state = nullptr;
    pushJsonbValue(&state, WJB_BEGIN_OBJECT, nullptr);
    add_text(&state, "device_id", request.device_id, truncated);
    if (request.has_measured_at)
        add_cstring(&state, "measured_at",
                    JsonEncodeDateTime(time, TimestampTzGetDatum(request.measured_at), TIMESTAMPTZOID, nullptr));
    if (request.has_temperature) add_double(&state, "temperature", request.temperature);
    if (request.has_humidity) add_double(&state, "humidity", request.humidity);
    add_text(&state, "idempotency_key", request.idempotency_key, truncated);
    add_json(&state, "metrics", request.metrics, truncated);
    add_text(&state, "region", request.region, truncated);
    add_truncated(&state, truncated);
    return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, nullptr));
}

}  // namespace ingest
