// Writes telemetry.batch_verdict by SQL.
#include "ingest/account.hpp"

#include <algorithm>
#include <vector>

#include "postgres/array.hpp"
#include "postgres/error.hpp"
#include "postgres/spi.hpp"
#include "postgres/text.hpp"
#include "runtime/own_tables.hpp"

#include "postgres/pg.hpp"

namespace ingest {
namespace {

using event_log::AppendOutcome;
using event_log::Candidate;

// A reading that was not simply stored. Plain data, fit for a guarded block.
struct Exception {
    std::uint32_t index;  // in the portion
    const char* verdict;
    int sqlstate;             // 0: none
    std::string_view reason;  // empty: none
    std::int64_t event_id;    // 0: none
};

postgres::Statement insert_account{
    postgres::SqlCommand::kInsert,
    "INSERT INTO telemetry.batch_verdict (batch_key, first_index, reading_count, sender, received_at, xid, first_event_id, "
    "last_event_id, indexes, verdicts, sqlstates, reasons, event_ids) "
    "VALUES ($1, $2, $3, $4, $5, pg_catalog.pg_current_xact_id(), nullif($6, 0), nullif($7, 0), $8, $9, $10, $11, $12)",
    12,
    {TEXTOID, INT8OID, INT8OID, TEXTOID, TIMESTAMPTZOID, INT8OID, INT8OID, INT4ARRAYOID, TEXTARRAYOID, TEXTARRAYOID,
     TEXTARRAYOID, INT8ARRAYOID},
    nullptr};

// P.
void insert_row(const AccountPart& part, const char* key, const Exception* exceptions, int count, TimestampTz received_at) {
    const Size room = sizeof(Datum) * static_cast<Size>(std::max(count, 1));
    Datum* columns[5];
    for (Datum*& column : columns) column = static_cast<Datum*>(palloc_extended(room, MCXT_ALLOC_HUGE));
    bool* nulls[5];
    for (bool*& column : nulls)
        column = static_cast<bool*>(palloc_extended(static_cast<Size>(count) + 1, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO));
    for (int i = 0; i < count; ++i) {
        const Exception& each = exceptions[i];
        columns[0][i] = Int32GetDatum(static_cast<int32>(each.index));
        columns[1][i] = postgres::text_datum(each.verdict);
        nulls[2][i] = each.sqlstate == 0;
        columns[2][i] = nulls[2][i] ? Datum{} : postgres::text_datum(unpack_sql_state(each.sqlstate));
        nulls[3][i] = each.reason.empty();
        columns[3][i] = nulls[3][i] ? Datum{} : postgres::text_datum(each.reason);
        nulls[4][i] = each.event_id == 0;
        columns[4][i] = Int64GetDatum(each.event_id);
    }
    Datum values[] = {postgres::text_datum(key),
                      Int64GetDatum(static_cast<int64>(part.first_index)),
                      Int64GetDatum(static_cast<int64>(part.count)),
                      postgres::text_datum(GetUserNameFromId(part.sender, false)),
                      TimestampTzGetDatum(received_at),
                      Int64GetDatum(part.first_event_id),
                      Int64GetDatum(part.last_event_id),
                      postgres::array_datum(columns[0], count, INT4OID, nulls[0]),
                      postgres::array_datum(columns[1], count, TEXTOID, nulls[1]),
                      postgres::array_datum(columns[2], count, TEXTOID, nulls[2]),
                      postgres::array_datum(columns[3], count, TEXTOID, nulls[3]),
                      postgres::array_datum(columns[4], count, INT8OID, nulls[4])};
    postgres::refuse_statement_obstacle(runtime::kBatchVerdictTable);
    const postgres::StatementScope statements = postgres::open_statements();
    postgres::execute_kept(insert_account, values);
    postgres::close_statements(statements);
}

// In the order of the input. `reasons` keeps the texts.
std::vector<Exception> exceptions_of(const Verdicts& verdicts, std::vector<std::string>& reasons) {
    std::vector<Exception> exceptions;
    reasons.reserve(verdicts.refused.size());
    for (const RefusedReading& each : verdicts.refused) {
        reasons.push_back(reason_of(each));
        exceptions.push_back({each.input_index, verdict_of(each), each.sqlstate, reasons.back(), each.event_id.value});
    }
    for (const Candidate& each : verdicts.candidates) {
        if (each.outcome == AppendOutcome::kDuplicate)
            exceptions.push_back({each.input_index, "duplicate", 0, {}, each.event_id.value});
        else if (each.outcome == AppendOutcome::kAccepted && !ItemPointerIsValid(&each.tid))
            exceptions.push_back({each.input_index, "accepted", 0, {}, each.event_id.value});
    }
    std::ranges::sort(exceptions, {}, &Exception::index);
    return exceptions;
}

}  // namespace

void write_account(const AccountPart& part, const Verdicts* verdicts, const event_log::Stamp& stamp) {
    AccountPart complete = part;
    std::vector<std::string> reasons;
    std::vector<Exception> exceptions;
    if (verdicts != nullptr) {
        exceptions = exceptions_of(*verdicts, reasons);
        for (const Candidate& each : verdicts->candidates) {
            if (each.outcome != AppendOutcome::kAccepted || !ItemPointerIsValid(&each.tid)) continue;
            const std::int64_t id = each.event_id.value;
            complete.first_event_id = complete.first_event_id == 0 ? id : std::min(complete.first_event_id, id);
            complete.last_event_id = std::max(complete.last_event_id, id);
        }
    }
    postgres::guarded([&complete, key = complete.key.c_str(), first = exceptions.data(),
                       count = static_cast<int>(exceptions.size()),
                       received_at = stamp.received_at] { insert_row(complete, key, first, count, received_at); });
}

}  // namespace ingest
