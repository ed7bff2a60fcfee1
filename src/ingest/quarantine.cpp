// Writing telemetry.rejected_readings natively: SQL from here would start a new command, and with it end the one in which a
// repeated call gives the first receipt again.
#include "ingest/quarantine.hpp"

#include <bit>
#include <string>
#include <vector>

#include "postgres/error.hpp"
#include "postgres/keyed_table.hpp"

#include "postgres/pg.hpp"

namespace ingest {
namespace {

// Columns of telemetry.rejected_readings, in the order of the install script.
enum Column { kRejectedId, kSqlstate, kReason, kPayload, kReceivedAt, kColumns };

// Plain view of a refusal, fit for a guarded block.
struct Row {
    const Request* request;
    int sqlstate;
    const char* reason;
    int reason_size;
};

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

void add_text(JsonbParseState** state, const char* name, text* value) {
    if (value == nullptr) return;
    add_name(state, name);
    JsonbValue string = json_string(VARDATA_ANY(value), static_cast<int>(VARSIZE_ANY_EXHDR(value)));
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

void add_json(JsonbParseState** state, const char* name, Jsonb* json) {
    add_name(state, name);
    JsonbValue value;
    value.type = jbvBinary;
    value.val.binary.data = &json->root;
    value.val.binary.len = static_cast<int>(VARSIZE(json) - VARHDRSZ);
    pushJsonbValue(state, WJB_VALUE, &value);
}

// The reading as sent; what was not sent is left out.
Jsonb* payload_of(const Request& request) {
    char time[MAXDATELEN + 1];
    JsonbParseState* state = nullptr;
    pushJsonbValue(&state, WJB_BEGIN_OBJECT, nullptr);
    add_text(&state, "device_id", request.device_id);
    if (request.has_measured_at)
        add_cstring(&state, "measured_at",
                    JsonEncodeDateTime(time, TimestampTzGetDatum(request.measured_at), TIMESTAMPTZOID, nullptr));
    if (request.has_temperature) add_double(&state, "temperature", request.temperature);
    if (request.has_humidity) add_double(&state, "humidity", request.humidity);
    add_text(&state, "idempotency_key", request.idempotency_key);
    if (request.metrics != nullptr) add_json(&state, "metrics", request.metrics);
    add_text(&state, "region", request.region);
    return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, nullptr));
}

// P. `rows` of one call, received together.
void insert_rows(const Row* rows, int count, TimestampTz received_at) {
    const Oid sequence = postgres::find_table("telemetry", "rejected_id_seq");
    const MemoryContext one_row =
        AllocSetContextCreate(CurrentMemoryContext, "telemetry_cqrs rejected", ALLOCSET_DEFAULT_SIZES);
    postgres::KeyedTable table{};
    postgres::open_table(table, postgres::find_table("telemetry", "rejected_readings"), kColumns, SnapshotAny);
    for (int i = 0; i < count; ++i) {
        CHECK_FOR_INTERRUPTS();
        const MemoryContext caller = MemoryContextSwitchTo(one_row);
        postgres::start_row(table);
        postgres::set_value(table, kRejectedId, Int64GetDatum(nextval_internal(sequence, false)));
        postgres::set_value(table, kSqlstate, CStringGetTextDatum(unpack_sql_state(rows[i].sqlstate)));
        postgres::set_value(table, kReason, PointerGetDatum(cstring_to_text_with_len(rows[i].reason, rows[i].reason_size)));
        postgres::set_value(table, kPayload, JsonbPGetDatum(payload_of(*rows[i].request)));
        postgres::set_value(table, kReceivedAt, TimestampTzGetDatum(received_at));
        postgres::insert_row(table);
        MemoryContextSwitchTo(caller);
        MemoryContextReset(one_row);
    }
    postgres::close_table(table);
    MemoryContextDelete(one_row);
}

// The last call that quarantined something, to know its repeat: `(ingest_telemetry_batch(...)).*` calls once a column, each
// time from another place in the plan. Session state, plain data.
struct LastCall {
    const void* call_site;
    LocalTransactionId transaction;
    SubTransactionId subtransaction;
    CommandId command;
    uint64 digest;
};
LastCall last_call{};

uint64 hash_of(const void* value) {  // null: not sent
    if (value == nullptr) return 0;
    return hash_bytes_extended(reinterpret_cast<const unsigned char*>(VARDATA_ANY(value)),
                               static_cast<int>(VARSIZE_ANY_EXHDR(value)), 0);
}

// Of all that was sent: calls that differ may well be refused in the same words.
uint64 digest_of(const Request* requests, std::uint32_t count) {
    uint64 digest = count;
    for (const Request* each = requests; each < requests + count; ++each)
        for (const uint64 part :
             {hash_of(each->device_id), hash_of(each->idempotency_key), hash_of(each->region), hash_of(each->metrics),
              uint64{each->has_measured_at}, static_cast<uint64>(each->measured_at), uint64{each->has_temperature},
              std::bit_cast<uint64>(each->temperature), uint64{each->has_humidity}, std::bit_cast<uint64>(each->humidity)})
            digest = hash_combine64(digest, part);
    return digest;
}

// Was this very call made a moment ago by another column of the same row?
bool is_repeat(const void* call_site, uint64 digest) {
    const LastCall call{call_site, MyProc->lxid, GetCurrentSubTransactionId(), GetCurrentCommandId(true), digest};
    if (last_call.transaction == call.transaction && last_call.subtransaction == call.subtransaction &&
        last_call.command == call.command && last_call.digest == call.digest && last_call.call_site != call.call_site)
        return true;
    last_call = call;
    return false;
}

}  // namespace

void quarantine(const Verdicts& verdicts, const Request* requests, const void* call_site) {
    if (verdicts.refused.empty() || is_repeat(call_site, digest_of(requests, verdicts.received))) return;
    std::vector<std::string> reasons;
    std::vector<Row> rows;
    reasons.reserve(verdicts.refused.size());
    rows.reserve(verdicts.refused.size());
    for (const Refused& each : verdicts.refused) {
        reasons.push_back(each.detail.empty() ? each.message : each.message + ": " + each.detail);
        rows.push_back(
            Row{requests + each.position, each.sqlstate, reasons.back().data(), static_cast<int>(reasons.back().size())});
    }
    postgres::guarded([data = rows.data(), count = static_cast<int>(rows.size()), received_at = verdicts.stamp.received_at] {
        insert_rows(data, count, received_at);
    });
}

}  // namespace ingest
