// A place as three columns or parameters of a statement: batch, xid and event id. This file is written wholly in P.
#pragma once

#include "postgres/spi.hpp"
#include "subscription/share.hpp"

#include "postgres/pg.hpp"

namespace subscription {

// From three columns, the first of which has this number. The batch is not NULL.
inline StoredPlace stored_place_of(const postgres::StatementResult& rows, std::uint64_t row, int column) {
    bool is_whole = false;
    StoredPlace place{DatumGetInt64(postgres::value_of(rows, row, column, &is_whole)), false, 0, 0};
    const Datum xid = postgres::value_of(rows, row, column + 1, &is_whole);
    if (is_whole) return place;
    place.is_partial = true;
    place.xid = U64FromFullTransactionId(DatumGetFullTransactionId(xid));
    place.event_id = DatumGetInt64(postgres::value_of(rows, row, column + 2, &is_whole));
    return place;
}

// Into three parameters.
inline void set_place(const Place& place, Datum* values, char* nulls) {
    values[0] = Int64GetDatum(place.batch.value);
    values[1] = values[2] = 0;
    nulls[1] = nulls[2] = 'n';
    if (!place.partial) return;
    values[1] = FullTransactionIdGetDatum(FullTransactionIdFromU64(place.partial->xid.value));
    values[2] = Int64GetDatum(place.partial->event_id.value);
    nulls[1] = nulls[2] = ' ';
}

}  // namespace subscription
