// Builds receipts.
#include "ingest/receipt.hpp"

#include "postgres/error.hpp"
#include "postgres/text.hpp"

#include "postgres/pg.hpp"

namespace ingest {

TupleDesc result_row_type(FunctionCallInfo fcinfo) {
    FmgrInfo* call_site = fcinfo->flinfo;
    if (call_site->fn_extra == nullptr) {
        const MemoryContext callers_context = MemoryContextSwitchTo(call_site->fn_mcxt);
        TupleDesc row_type;
        if (get_call_result_type(fcinfo, nullptr, &row_type) != TYPEFUNC_COMPOSITE)
            ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                            errmsg("function returning record called in a context that cannot accept type record")));
        call_site->fn_extra = BlessTupleDesc(row_type);
        MemoryContextSwitchTo(callers_context);
    }
    return static_cast<TupleDesc>(call_site->fn_extra);
}

namespace {

// P.
Datum row_of(FunctionCallInfo fcinfo, const IntakeTotals& totals, std::string_view token) {
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
    return HeapTupleGetDatum(heap_form_tuple(result_row_type(fcinfo), values, nulls));
}

}  // namespace

Datum batch_receipt(FunctionCallInfo fcinfo, const IntakeTotals& totals, std::string_view token) {
    return postgres::guarded([=, &totals] { return row_of(fcinfo, totals, token); });
}

Datum token_of(model::Epoch epoch, model::Xid xid) {
    char token[40];
    const int length = snprintf(token, sizeof token, "%d:" UINT64_FORMAT, epoch.value, xid.value);
    return postgres::text_datum({token, static_cast<std::size_t>(length)});
}

}  // namespace ingest
