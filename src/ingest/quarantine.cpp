// The quarantine writes telemetry.rejected_readings by SQL, so that defaults, constraints and triggers of that table count.
#include "ingest/quarantine.hpp"

#include <bit>
#include <string>
#include <vector>

#include "ingest/payload.hpp"
#include "postgres/command.hpp"
#include "postgres/error.hpp"
#include "postgres/jsonb.hpp"
#include "postgres/server_versions.hpp"
#include "postgres/spi.hpp"
#include "postgres/text.hpp"
#include "runtime/own_tables.hpp"

#include "postgres/pg.hpp"

namespace ingest {
namespace {

// A row of telemetry.rejected_readings before its payload is built. Plain data, fit for a guarded block.
struct RejectedRow {
    const Request* request;
    int sqlstate;
    std::string_view reason;
};

// The column's default gives each row its number.
postgres::Statement insert_rejected{
    postgres::SqlCommand::kInsert,
    "INSERT INTO telemetry.rejected_readings (sqlstate, reason, payload, received_at) "
    "SELECT n.sqlstate, n.reason, n.payload, $4 "
    "FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3)) AS n (sqlstate, reason, payload)",
    4,
    {TEXTARRAYOID, TEXTARRAYOID, JSONBARRAYOID, TIMESTAMPTZOID},
    nullptr};

// The limits of one statement. Rows are added until one of the two is reached.
constexpr int kChunkRows = 512;
constexpr std::size_t kChunkBytes = 1 << 20;

// P. Inserts as many of the rows as one statement takes, and returns how many.
int insert_chunk(const RejectedRow* rows, int count, TimestampTz received_at) {
    Datum sqlstates[kChunkRows], reasons[kChunkRows], payloads[kChunkRows];
    int taken = 0;
    for (std::size_t bytes = 0; taken < count && taken < kChunkRows && bytes < kChunkBytes; ++taken) {
        const RejectedRow& row = rows[taken];
        Jsonb* payload = payload_of(*row.request);
        bytes += postgres::size_of(payload) + row.reason.size();
        sqlstates[taken] = postgres::text_datum(unpack_sql_state(row.sqlstate));
        reasons[taken] = postgres::text_datum(row.reason);
        payloads[taken] = JsonbPGetDatum(payload);
    }
    Datum values[] = {postgres::text_array_datum(sqlstates, taken), postgres::text_array_datum(reasons, taken),
                      postgres::jsonb_array_datum(payloads, taken), TimestampTzGetDatum(received_at)};
    postgres::execute_kept(insert_rejected, values);
    return taken;
}

// P. Inserts the rows of one call.
void insert_rows(const RejectedRow* rows, int count, TimestampTz received_at) {
    const MemoryContext chunk_context =
        AllocSetContextCreate(CurrentMemoryContext, "telemetry_cqrs rejected", ALLOCSET_DEFAULT_SIZES);
    postgres::refuse_statement_obstacle(runtime::kRejectedReadingsTable);
    const postgres::StatementScope statements = postgres::open_statements();
    for (int done = 0; done < count;) {
        CHECK_FOR_INTERRUPTS();
        const MemoryContext callers_context = MemoryContextSwitchTo(chunk_context);
        done += insert_chunk(rows + done, count - done, received_at);
        MemoryContextSwitchTo(callers_context);
        MemoryContextReset(chunk_context);
    }
    postgres::close_statements(statements);
    MemoryContextDelete(chunk_context);
}

// The last call that quarantined something, so that its repeat is known. `(ingest_telemetry_batch(...)).*` calls the function
// once for each column, and each call comes from another node of the plan. Session state, plain data.
struct LastCall {
    const void* call_site;
    LocalTransactionId transaction;
    SubTransactionId subtransaction;
    CommandId command;
    uint64 digest;
};
LastCall last_call{};

template <typename Value>
uint64 hash_of_sent(const Value* value) {
    return value == nullptr ? 0 : postgres::hash_of(value);
}

// Covers all that the client sent, because calls that differ may be refused in the same words.
uint64 digest_of(const Request* requests, std::uint32_t count) {
    uint64 digest = count;
    for (const Request* each = requests; each < requests + count; ++each)
        for (const uint64 part :
             {hash_of_sent(each->device_id), hash_of_sent(each->idempotency_key), hash_of_sent(each->region),
              hash_of_sent(each->metrics), uint64{each->has_measured_at}, static_cast<uint64>(each->measured_at),
              uint64{each->has_temperature}, std::bit_cast<uint64>(each->temperature), uint64{each->has_humidity},
              std::bit_cast<uint64>(each->humidity)})
            digest = hash_combine64(digest, part);
    return digest;
}

// True if another column of the same row made this very call before.
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
    std::vector<RejectedRow> rows;
    reasons.reserve(verdicts.refused.size());
    rows.reserve(verdicts.refused.size());
    for (const RefusedReading& each : verdicts.refused) {
        reasons.push_back(each.detail.empty() ? each.message : each.message + ": " + each.detail);
        rows.push_back(RejectedRow{requests + each.input_index, each.sqlstate, reasons.back()});
    }
    postgres::guarded([first = rows.data(), count = static_cast<int>(rows.size()), received_at = verdicts.stamp.received_at] {
        insert_rows(first, count, received_at);
    });
}

}  // namespace ingest
