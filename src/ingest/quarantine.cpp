// The quarantine writes telemetry.rejected_readings by SQL, so that defaults, constraints and triggers of that table count.
#include "ingest/quarantine.hpp"

#include <string>
#include <vector>

#include "ingest/payload.hpp"
#include "postgres/array.hpp"
#include "postgres/error.hpp"
#include "postgres/jsonb.hpp"
#include "postgres/spi.hpp"
#include "postgres/text.hpp"
#include "runtime/installed.hpp"
#include "runtime/own_tables.hpp"

#include "postgres/pg.hpp"

namespace ingest {
namespace {

// A row of telemetry.rejected_readings before its payload is built. Plain data, fit for a guarded block.
struct RejectedRow {
    const Request* request;
    std::uint64_t input_index;  // from 0
    int sqlstate;
    std::string_view reason;
};

// The values that all rows of a portion have in common.
struct CommonValues {
    const char* source;
    std::string_view token;
    bool has_index;
    TimestampTz received_at;
};

// The statement finds the rows of the same deliveries, and counts there. The others are inserted, those of one delivery as one
// row. A row that is locked by another session is passed over. So no session waits for another one here.
postgres::Statement insert_rejected{
    postgres::SqlCommand::kInsert,
    "WITH sent AS MATERIALIZED ("
    "  SELECT n.*, count(*) OVER same AS copies, row_number() OVER (same ORDER BY n.input_index) AS copy"
    "  FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4), "
    "pg_catalog.unnest($5), pg_catalog.unnest($6), pg_catalog.unnest($7)) "
    "AS n (sqlstate, reason, payload, device_id, idempotency_key, input_index, delivery)"
    "  WINDOW same AS (PARTITION BY n.delivery, CASE WHEN n.delivery IS NULL THEN n.input_index END)), "
    "known AS MATERIALIZED ("
    "  SELECT r.rejected_id, r.delivery FROM telemetry.rejected_readings AS r"
    "  WHERE r.delivery = ANY ($7) ORDER BY r.rejected_id FOR NO KEY UPDATE SKIP LOCKED), "
    "counted AS ("
    "  UPDATE telemetry.rejected_readings AS r SET deliveries = least(r.deliveries + s.copies, 2147483647), "
    "last_received_at = $8"
    "  FROM (SELECT DISTINCT ON (k.delivery) k.rejected_id, k.delivery FROM known AS k ORDER BY k.delivery, k.rejected_id) AS "
    "k "
    "JOIN sent AS s ON s.delivery = k.delivery AND s.copy = 1"
    "  WHERE r.rejected_id = k.rejected_id) "
    "INSERT INTO telemetry.rejected_readings (sqlstate, reason, payload, received_at, last_received_at, device_id, "
    "idempotency_key, source, token, item_index, deliveries, delivery) "
    "SELECT s.sqlstate, s.reason, s.payload, $8, $8, s.device_id, s.idempotency_key, $9, $10, "
    "CASE WHEN $11 THEN s.input_index END, s.copies, s.delivery FROM sent AS s "
    "WHERE s.copy = 1 AND (s.delivery IS NULL OR s.delivery NOT IN (SELECT k.delivery FROM known AS k)) ORDER BY s.input_index",
    11,
    {TEXTARRAYOID, TEXTARRAYOID, JSONBARRAYOID, TEXTARRAYOID, TEXTARRAYOID, INT8ARRAYOID, INT8ARRAYOID, TIMESTAMPTZOID, TEXTOID,
     TEXTOID, BOOLOID},
    nullptr};

// The same for the table of version 1.0.
postgres::Statement insert_rejected_1_0{
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

// The columns of the rows of one statement.
struct Columns {
    Datum sqlstates[kChunkRows], reasons[kChunkRows], payloads[kChunkRows], devices[kChunkRows], keys[kChunkRows],
        indexes[kChunkRows], deliveries[kChunkRows];
    bool devices_null[kChunkRows], keys_null[kChunkRows], deliveries_null[kChunkRows];
};

// P. A text for a column that people search. What is longer than a name may be is cut.
Datum searchable(std::string_view value, std::size_t max_size, bool is_missing, bool& is_null) {
    is_null = is_missing;
    if (is_missing) return Datum{};
    if (value.size() > max_size)
        value = value.substr(0, static_cast<std::size_t>(
                                    pg_mbcliplen(value.data(), static_cast<int>(value.size()), static_cast<int>(max_size))));
    return postgres::text_datum(value);
}

// P. A reading without identity is another one each time.
bool has_no_identity(const Request& request) {
    return request.item.empty() && !request.reading.idempotency_key && !request.reading.measured_at;
}

// P. Inserts as many of the rows as one statement takes, and returns how many.
int insert_chunk(const RejectedRow* rows, int count, const CommonValues& common, bool is_1_0) {
    auto* columns = static_cast<Columns*>(palloc0(sizeof(Columns)));
    int taken = 0;
    for (std::size_t bytes = 0; taken < count && taken < kChunkRows && bytes < kChunkBytes; ++taken) {
        const RejectedRow& row = rows[taken];
        const model::Reading& reading = row.request->reading;
        Jsonb* payload = payload_of(*row.request);
        bytes += postgres::size_of(payload) + row.reason.size();
        columns->sqlstates[taken] = postgres::text_datum(unpack_sql_state(row.sqlstate));
        columns->reasons[taken] = postgres::text_datum(row.reason);
        columns->payloads[taken] = JsonbPGetDatum(payload);
        columns->devices[taken] =
            searchable(reading.device_id, model::kMaxDeviceIdSize, !row.request->has_device_id, columns->devices_null[taken]);
        columns->keys[taken] = searchable(reading.idempotency_key.value_or(""), model::kMaxKeySize, !reading.idempotency_key,
                                          columns->keys_null[taken]);
        columns->indexes[taken] = Int64GetDatum(static_cast<int64>(row.input_index) + 1);
        columns->deliveries[taken] = Int64GetDatum(delivery_of(payload, row.sqlstate));
        columns->deliveries_null[taken] = has_no_identity(*row.request);
    }
    const Datum sqlstates = postgres::array_datum(columns->sqlstates, taken, TEXTOID);
    const Datum reasons = postgres::array_datum(columns->reasons, taken, TEXTOID);
    const Datum payloads = postgres::array_datum(columns->payloads, taken, JSONBOID);
    if (is_1_0) {
        Datum values[] = {sqlstates, reasons, payloads, TimestampTzGetDatum(common.received_at)};
        postgres::execute_kept(insert_rejected_1_0, values);
        return taken;
    }
    Datum values[] = {sqlstates,
                      reasons,
                      payloads,
                      postgres::array_datum(columns->devices, taken, TEXTOID, columns->devices_null),
                      postgres::array_datum(columns->keys, taken, TEXTOID, columns->keys_null),
                      postgres::array_datum(columns->indexes, taken, INT8OID),
                      postgres::array_datum(columns->deliveries, taken, INT8OID, columns->deliveries_null),
                      TimestampTzGetDatum(common.received_at),
                      postgres::text_datum(common.source),
                      postgres::text_datum(common.token),
                      BoolGetDatum(common.has_index)};
    postgres::execute_kept(insert_rejected, values);
    return taken;
}

// P. Inserts the rows of one portion.
void insert_rows(const RejectedRow* rows, int count, const CommonValues& common, bool is_1_0) {
    const MemoryContext chunk_context =
        AllocSetContextCreate(CurrentMemoryContext, "telemetry_cqrs rejected", ALLOCSET_DEFAULT_SIZES);
    postgres::refuse_statement_obstacle(runtime::kRejectedReadingsTable);
    const postgres::StatementScope statements = postgres::open_statements();
    for (int done = 0; done < count;) {
        CHECK_FOR_INTERRUPTS();
        const MemoryContext callers_context = MemoryContextSwitchTo(chunk_context);
        done += insert_chunk(rows + done, count - done, common, is_1_0);
        MemoryContextSwitchTo(callers_context);
        MemoryContextReset(chunk_context);
    }
    postgres::close_statements(statements);
    MemoryContextDelete(chunk_context);
}

}  // namespace

void quarantine(const Verdicts& verdicts, std::span<const Request> requests, const Origin& origin) {
    std::vector<std::string> reasons;
    std::vector<RejectedRow> rows;
    reasons.reserve(verdicts.refused.size());
    rows.reserve(verdicts.refused.size());
    for (const RefusedReading& each : verdicts.refused) {
        reasons.push_back(reason_of(each));
        rows.push_back(
            RejectedRow{&requests[each.input_index], origin.first_index + each.input_index, each.sqlstate, reasons.back()});
    }
    const CommonValues common{origin.source, origin.token, origin.has_index, verdicts.stamp.received_at};
    const bool is_1_0 = !OidIsValid(runtime::installed().batch_verdict);
    postgres::guarded([&common, first = rows.data(), count = static_cast<int>(rows.size()), is_1_0] {
        insert_rows(first, count, common, is_1_0);
    });
}

}  // namespace ingest
