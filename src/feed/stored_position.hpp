// The form of a position in a row: three columns, for the snapshot, the transaction that is cut, and its last event that lies
// before the position. The last two are NULL where no transaction is cut.
#pragma once

#include <cstdint>
#include <string>

#include "model/snapshot.hpp"
#include "postgres/keyed_table.hpp"
#include "postgres/types.hpp"

namespace feed {

// A position without destructors, for guarded blocks.
struct StoredPosition {
    const char* snapshot;
    bool has_partial;
    std::uint64_t partial_xid;
    std::int64_t partial_event_id;
};

// The result points into `snapshot`, which this function fills in.
StoredPosition stored(const model::Position& position, std::string& snapshot);

// Throws Error(XX001) for a malformed snapshot; `table` names the table in its message.
model::Position position_of(const StoredPosition& stored, const char* table);

// P. `column` is the first of the three. The text of the result is palloc'd.
StoredPosition read_position(TupleTableSlot* row, int column);
void set_position(postgres::KeyedTable& table, int column, const StoredPosition& position);

}  // namespace feed
