// Converts positions between the model and the columns of a row.
#include "feed/stored_position.hpp"

#include "model/snapshot_text.hpp"
#include "postgres/error.hpp"

#include "postgres/pg.hpp"

namespace feed {

StoredPosition stored(const model::Position& position, std::string& snapshot) {
    snapshot = model::to_text(position.snapshot);
    StoredPosition result{snapshot.c_str(), position.partial.has_value(), 0, 0};
    if (position.partial) {
        result.partial_xid = position.partial->xid.value;
        result.partial_event_id = position.partial->event_id.value;
    }
    return result;
}

model::Position position_of(const StoredPosition& stored, const char* table) {
    const auto snapshot = model::parse_snapshot(stored.snapshot);
    if (!snapshot)
        throw postgres::Error(ERRCODE_DATA_CORRUPTED, std::string("malformed snapshot in telemetry.") + table, stored.snapshot);
    model::Position position{.snapshot = *snapshot, .partial = {}};
    if (stored.has_partial)
        position.partial = model::Partial{model::Xid{stored.partial_xid}, model::EventId{stored.partial_event_id}};
    return position;
}

StoredPosition read_position(TupleTableSlot* row, int column) {
    const Datum* value = row->tts_values;
    StoredPosition position{};
    position.snapshot = DatumGetCString(DirectFunctionCall1(pg_snapshot_out, value[column]));
    position.has_partial = !row->tts_isnull[column + 1];
    if (position.has_partial) {
        position.partial_xid = U64FromFullTransactionId(DatumGetFullTransactionId(value[column + 1]));
        position.partial_event_id = DatumGetInt64(value[column + 2]);
    }
    return position;
}

void set_position(postgres::KeyedTable& table, int column, const StoredPosition& position) {
    postgres::set_value(table, column, DirectFunctionCall1(pg_snapshot_in, CStringGetDatum(position.snapshot)));
    postgres::set_null(table, column + 1);
    postgres::set_null(table, column + 2);
    if (!position.has_partial) return;
    postgres::set_value(table, column + 1, FullTransactionIdGetDatum(FullTransactionIdFromU64(position.partial_xid)));
    postgres::set_value(table, column + 2, Int64GetDatum(position.partial_event_id));
}

}  // namespace feed
