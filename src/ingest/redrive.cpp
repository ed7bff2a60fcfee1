// SQL function redrive_rejected: sends readings of the quarantine again.
//
// 1. It locks the next rows. A row that another session has locked is passed over, so no session waits for another one here.
// 2. It makes the requests again, and sends them through the path that all doors share.
// 3. The row of a reading that is in the log now is deleted. Any other row gets the SQLSTATE and the reason of today.
//
// The judgement takes the time at which the reading was received first. So a reading does not become too old while it waits,
// and a clock that was ahead does not become right.
#include <algorithm>
#include <string>
#include <vector>

#include "ingest/door.hpp"
#include "ingest/intake.hpp"
#include "ingest/payload.hpp"
#include "ingest/receipt.hpp"
#include "postgres/array.hpp"
#include "postgres/entry_point.hpp"
#include "postgres/growing_array.hpp"
#include "postgres/memory.hpp"
#include "postgres/spi.hpp"
#include "postgres/sql_function.hpp"
#include "postgres/text.hpp"
#include "runtime/own_tables.hpp"

#include "postgres/pg.hpp"

namespace ingest {
namespace {

constexpr int kPortionRows = 256;
constexpr int kMostReadings = 1'000'000;

enum Argument { kSqlstates, kDeviceIds, kSources, kTokens, kSince, kMaxReadings, kAfter };

// Plain data. The arrays are text[]; a flag says that a filter is not given.
struct Filter {
    Datum values[5];
    char nulls[6];
    std::int64_t after;  // rejected_id
    int max_readings;
};

// The rows that are not given as a filter want all. Nothing else restricts the order, so the caller can go on after the last
// one.
constexpr postgres::Statement kTakeRows{
    postgres::SqlCommand::kSelect,
    "SELECT r.rejected_id, r.payload, r.received_at FROM telemetry.rejected_readings r "
    "WHERE r.rejected_id > $6 AND ($1 IS NULL OR r.sqlstate = ANY ($1)) AND ($2 IS NULL OR r.device_id = ANY ($2)) "
    "AND ($3 IS NULL OR r.source = ANY ($3)) AND ($4 IS NULL OR r.token = ANY ($4)) "
    "AND ($5 IS NULL OR coalesce(r.last_received_at, r.received_at) >= $5) "
    "ORDER BY r.rejected_id LIMIT $7 FOR UPDATE SKIP LOCKED",
    7,
    {TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TIMESTAMPTZOID, INT8OID, INT4OID},
    nullptr,
    true};
constexpr postgres::Statement kDeleteRows{postgres::SqlCommand::kDelete,
                                          "DELETE FROM telemetry.rejected_readings WHERE rejected_id = ANY ($1)",
                                          1,
                                          {INT8ARRAYOID},
                                          nullptr};
constexpr postgres::Statement kUpdateRows{
    postgres::SqlCommand::kUpdate,
    "UPDATE telemetry.rejected_readings AS r SET sqlstate = n.sqlstate, reason = n.reason, "
    "delivery = CASE WHEN r.delivery IS NOT NULL THEN n.delivery END, redrives = r.redrives + 1 "
    "FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4)) "
    "AS n (rejected_id, sqlstate, reason, delivery) WHERE r.rejected_id = n.rejected_id",
    4,
    {INT8ARRAYOID, TEXTARRAYOID, TEXTARRAYOID, INT8ARRAYOID},
    nullptr};

// A row of the quarantine. Plain data, in the memory of its portion.
struct KeptReading {
    std::int64_t rejected_id;
    Jsonb* payload;
    Request request;
};

struct Portion {
    postgres::GrowingArray<KeptReading> readings;  // that can be sent again
    int taken;                                     // with those that cannot
    std::int64_t last_id;
};

// What the redrive has done so far.
struct Redriven {
    std::int64_t examined = 0, skipped = 0, last_id = 0;
    bool is_over = false;  // no further row matches
};

// P.
Filter filter_of(FunctionCallInfo fcinfo) {
    Filter filter{};
    for (int i = 0; i < 5; ++i) {
        filter.nulls[i] = PG_ARGISNULL(i) ? 'n' : ' ';
        filter.values[i] = PG_ARGISNULL(i) ? Datum{} : PG_GETARG_DATUM(i);
    }
    filter.max_readings = PG_ARGISNULL(kMaxReadings) ? 0 : PG_GETARG_INT32(kMaxReadings);
    filter.after = PG_ARGISNULL(kAfter) ? 0 : PG_GETARG_INT64(kAfter);
    return filter;
}

// P. Locks the next rows and reads them into the current memory context.
Portion take_portion(const Filter& filter, std::int64_t after, int most) {
    Portion portion{};
    const MemoryContext portions_context = CurrentMemoryContext;
    Datum values[7];
    char nulls[] = "       ";
    std::copy(filter.values, filter.values + 5, values);
    std::copy(filter.nulls, filter.nulls + 5, nulls);
    values[5] = Int64GetDatum(after);
    values[6] = Int32GetDatum(most);
    const postgres::StatementScope statements = postgres::open_statements();
    const postgres::StatementResult found = postgres::execute(kTakeRows, values, nulls);
    const MemoryContext statements_context = MemoryContextSwitchTo(portions_context);
    for (std::uint64_t row = 0; row < found.row_count; ++row) {
        bool is_null = false;
        KeptReading reading{};
        reading.rejected_id = DatumGetInt64(postgres::value_of(found, row, 1, &is_null));
        reading.payload = DatumGetJsonbPCopy(postgres::value_of(found, row, 2, &is_null));
        portion.last_id = reading.rejected_id;
        ++portion.taken;
        if (!read_payload(reading.payload, reading.request)) continue;
        reading.request.received_at = DatumGetTimestampTz(postgres::value_of(found, row, 3, &is_null));
        postgres::append(portion.readings, reading);
    }
    MemoryContextSwitchTo(statements_context);
    postgres::close_statements(statements);
    MemoryContextSwitchTo(portions_context);
    return portion;
}

// A reading that was refused again. Plain data.
struct RefusedAgain {
    const KeptReading* reading;
    int sqlstate;
    std::string_view reason;
};

// P. Deletes the rows of the readings that are in the log now, and updates the others. Both have at most kPortionRows.
void settle_rows(const KeptReading* const* stored, int stored_count, const RefusedAgain* refused, int refused_count) {
    postgres::refuse_statement_obstacle(runtime::kRejectedReadingsTable);
    const postgres::StatementScope statements = postgres::open_statements();
    Datum ids[kPortionRows], sqlstates[kPortionRows], reasons[kPortionRows], deliveries[kPortionRows];
    for (int i = 0; i < stored_count; ++i) ids[i] = Int64GetDatum(stored[i]->rejected_id);
    if (stored_count > 0) {
        Datum values[] = {postgres::array_datum(ids, stored_count, INT8OID)};
        postgres::execute(kDeleteRows, values);
    }
    for (int i = 0; i < refused_count; ++i) {
        const RefusedAgain& each = refused[i];
        ids[i] = Int64GetDatum(each.reading->rejected_id);
        sqlstates[i] = postgres::text_datum(unpack_sql_state(each.sqlstate));
        reasons[i] = postgres::text_datum(each.reason);
        deliveries[i] = Int64GetDatum(delivery_of(each.reading->payload, each.sqlstate));
    }
    if (refused_count > 0) {
        Datum values[] = {
            postgres::array_datum(ids, refused_count, INT8OID), postgres::array_datum(sqlstates, refused_count, TEXTOID),
            postgres::array_datum(reasons, refused_count, TEXTOID), postgres::array_datum(deliveries, refused_count, INT8OID)};
        postgres::execute(kUpdateRows, values);
    }
    postgres::close_statements(statements);
}

void settle(const Portion& portion, const Verdicts& verdicts) {
    std::vector<const KeptReading*> stored;
    std::vector<RefusedAgain> refused;
    std::vector<std::string> reasons;
    reasons.reserve(verdicts.refused.size());
    for (const RefusedReading& each : verdicts.refused) {
        reasons.push_back(reason_of(each));
        refused.push_back({portion.readings.items + each.input_index, each.sqlstate, reasons.back()});
    }
    for (const event_log::Candidate& each : verdicts.candidates)
        if (each.outcome == event_log::AppendOutcome::kAccepted || each.outcome == event_log::AppendOutcome::kDuplicate)
            stored.push_back(portion.readings.items + each.input_index);
    postgres::guarded([first_stored = stored.data(), stored_count = static_cast<int>(stored.size()),
                       first_refused = refused.data(), refused_count = static_cast<int>(refused.size())] {
        settle_rows(first_stored, stored_count, first_refused, refused_count);
    });
}

// Sends one portion again. It is a part of the intake.
void redrive_portion(Intake& intake, const Filter& filter, Redriven& redriven) {
    const postgres::ScopedMemory memory("telemetry_cqrs redrive");
    const MemoryContext callers_context = MemoryContextSwitchTo(memory.get());
    const int most = static_cast<int>(std::min<std::int64_t>(kPortionRows, filter.max_readings - redriven.examined));
    try {
        intake.counted([&] {
            const Portion portion = postgres::guarded(
                [&filter, &redriven, most] { return take_portion(filter, std::max(filter.after, redriven.last_id), most); });
            std::vector<Request> requests;
            for (const KeptReading& each : portion.readings) requests.push_back(each.request);
            if (!requests.empty()) settle(portion, intake.take(requests));
            redriven.examined += portion.taken;
            redriven.skipped += portion.taken - static_cast<std::int64_t>(requests.size());
            redriven.last_id = std::max(redriven.last_id, portion.last_id);
            redriven.is_over = portion.taken < most;
            return 0;
        });
    } catch (...) {
        MemoryContextSwitchTo(callers_context);
        throw;
    }
    MemoryContextSwitchTo(callers_context);
}

}  // namespace
}  // namespace ingest

TELEMETRY_FUNCTION(telemetry_redrive_rejected) {
    using namespace ingest;
    Intake intake(Source::kRedrive, OnError::kCollect);
    const Door door("redrive_rejected()");
    const Filter filter = postgres::guarded([fcinfo] { return filter_of(fcinfo); });
    if (filter.max_readings < 1 || filter.max_readings > kMostReadings)
        throw postgres::Error(ERRCODE_INVALID_PARAMETER_VALUE, "max_readings is out of range",
                              "It is " + std::to_string(filter.max_readings) + ".",
                              "Give a number from 1 to " + std::to_string(kMostReadings) + ".");
    Redriven redriven;
    while (!redriven.is_over && redriven.examined < filter.max_readings) redrive_portion(intake, filter, redriven);
    return postgres::guarded([&] {
        const IntakeTotals& totals = intake.totals();
        const auto number = [](std::uint64_t count) { return Int64GetDatum(static_cast<int64>(count)); };
        Datum values[] = {Int64GetDatum(redriven.examined), number(totals.accepted), number(totals.duplicates),
                          number(totals.conflicts),         number(totals.rejected), Int64GetDatum(redriven.skipped),
                          Int64GetDatum(redriven.last_id)};
        bool nulls[] = {false, false, false, false, false, false, redriven.is_over};
        return postgres::row_of(fcinfo, values, nulls);
    });
}
