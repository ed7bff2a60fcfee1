// Writing telemetry.rejected_readings by SQL, so that all counts that somebody put on it: defaults, constraints, triggers.
#include "ingest/quarantine.hpp"

#include <bit>
#include <string>
#include <vector>

#include "ingest/payload.hpp"
#include "postgres/command.hpp"
#include "postgres/error.hpp"
#include "postgres/owner_statement.hpp"
#include "postgres/server_versions.hpp"
#include "runtime/own_tables.hpp"

#include "postgres/pg.hpp"

namespace ingest {
namespace {

// Plain view of a refusal, fit for a guarded block.
struct Row {
    const Request* request;
    int sqlstate;
    const char* reason;
    int reason_size;
};

// The number comes from the column's default.
postgres::OwnerStatement insert_rejected{
    "INSERT INTO telemetry.rejected_readings (sqlstate, reason, payload, received_at) "
    "SELECT n.sqlstate, n.reason, n.payload, $4 "
    "FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3)) AS n (sqlstate, reason, payload)",
    4,
    {TEXTARRAYOID, TEXTARRAYOID, JSONBARRAYOID, TIMESTAMPTZOID},
    nullptr};

// One statement's rows.
constexpr int kChunkRows = 512;
constexpr std::size_t kChunkBytes = 1 << 20;

Datum array_of(Datum* values, int count, Oid type) {
    return PointerGetDatum(construct_array(values, count, type, -1, false, TYPALIGN_INT));
}

// P. As many of the rows as go into a statement; how many.
int insert_chunk(const Row* rows, int count, TimestampTz received_at) {
    Datum sqlstates[kChunkRows], reasons[kChunkRows], payloads[kChunkRows];
    int taken = 0;
    for (std::size_t bytes = 0; taken < count && taken < kChunkRows && bytes < kChunkBytes; ++taken) {
        const Row& row = rows[taken];
        Jsonb* payload = payload_of(*row.request);
        bytes += VARSIZE(payload) + static_cast<std::size_t>(row.reason_size);
        sqlstates[taken] = CStringGetTextDatum(unpack_sql_state(row.sqlstate));
        reasons[taken] = PointerGetDatum(cstring_to_text_with_len(row.reason, row.reason_size));
        payloads[taken] = JsonbPGetDatum(payload);
    }
    Datum values[] = {array_of(sqlstates, taken, TEXTOID), array_of(reasons, taken, TEXTOID),
                      array_of(payloads, taken, JSONBOID), TimestampTzGetDatum(received_at)};
    postgres::execute(insert_rejected, values);
    return taken;
}

// P. `rows` of one call, received together.
void insert_rows(const Row* rows, int count, TimestampTz received_at) {
    const MemoryContext chunk = AllocSetContextCreate(CurrentMemoryContext, "telemetry_cqrs rejected", ALLOCSET_DEFAULT_SIZES);
    postgres::refuse_statement_obstacle(runtime::kRejectedReadingsTable);
    const postgres::OwnerStatements statements = postgres::open_statements();
    for (int done = 0; done < count;) {
        CHECK_FOR_INTERRUPTS();
        const MemoryContext caller = MemoryContextSwitchTo(chunk);
        done += insert_chunk(rows + done, count - done, received_at);
        MemoryContextSwitchTo(caller);
        MemoryContextReset(chunk);
    }
    postgres::close_statements(statements);
    MemoryContextDelete(chunk);
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
    const LastCall call{call_site, postgres::local_transaction_id(), GetCurrentSubTransactionId(), postgres::command_begun(),
                        digest};
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
