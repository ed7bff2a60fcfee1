// Moves and reads the sequences. This file is written wholly in P.
#include "event_log/sequences.hpp"

#include <limits>

#include "postgres/spi.hpp"

#include "postgres/pg.hpp"

namespace event_log {
namespace {

constexpr postgres::Statement kMoves[] = {
    {postgres::SqlCommand::kSelect,
     "SELECT pg_catalog.setval('telemetry.event_id_seq', m.last) "
     "FROM (SELECT pg_catalog.max(event_id) AS last FROM telemetry.event) AS m, telemetry.event_id_seq AS s "
     "WHERE m.last OPERATOR(pg_catalog.>=) s.last_value",
     0,
     {},
     nullptr},
    {postgres::SqlCommand::kSelect,
     "SELECT pg_catalog.setval('telemetry.rejected_id_seq', m.last) "
     "FROM (SELECT pg_catalog.max(rejected_id) AS last FROM telemetry.rejected_readings) AS m, telemetry.rejected_id_seq AS s "
     "WHERE m.last OPERATOR(pg_catalog.>=) s.last_value",
     0,
     {},
     nullptr},
};

}  // namespace

void move_sequences_past_stored_rows() {
    // This snapshot shows every transaction that has committed by now, whatever the caller's isolation level.
    PushActiveSnapshot(GetLatestSnapshot());
    for (const postgres::Statement& move : kMoves) postgres::execute(move, nullptr);
    PopActiveSnapshot();
}

std::int64_t last_number_given(Oid sequence) {
    LOCAL_FCINFO(call, 1);
    InitFunctionCallInfoData(*call, nullptr, 1, InvalidOid, nullptr, nullptr);
    call->args[0].value = ObjectIdGetDatum(sequence);
    call->args[0].isnull = false;
    const Datum last = pg_sequence_last_value(call);
    return call->isnull ? std::numeric_limits<std::int64_t>::min() : DatumGetInt64(last);
}

}  // namespace event_log
