// Builds receipts.
#include "ingest/receipt.hpp"

#include "postgres/error.hpp"
#include "postgres/sql_function.hpp"
#include "postgres/text.hpp"

#include "postgres/pg.hpp"

namespace ingest {

namespace {

// P.
Datum receipt_of(FunctionCallInfo fcinfo, const IntakeTotals& totals, std::string_view token) {
    const auto number = [](std::uint64_t count) { return Int32GetDatum(static_cast<int32>(count)); };
    Datum values[] = {number(totals.received),
                      number(totals.accepted),
                      number(totals.duplicates),
                      number(totals.conflicts),
                      number(totals.rejected),
                      Int64GetDatum(totals.first_event_id),
                      Int64GetDatum(totals.last_event_id),
                      postgres::text_datum(token)};
    bool nulls[8] = {};
    nulls[5] = nulls[6] = totals.accepted == 0;
    return postgres::row_of(fcinfo, values, nulls);
}

}  // namespace

Datum batch_receipt(FunctionCallInfo fcinfo, const IntakeTotals& totals, std::string_view token) {
    return postgres::guarded([=, &totals] { return receipt_of(fcinfo, totals, token); });
}

Datum token_of(model::Epoch epoch, model::Xid xid) {
    char token[40];
    const int length = snprintf(token, sizeof token, "%d:" UINT64_FORMAT, epoch.value, xid.value);
    return postgres::text_datum({token, static_cast<std::size_t>(length)});
}

}  // namespace ingest
