// Builds receipts. This file is written wholly in P.
#include "ingest/receipt.hpp"

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

Datum token_of(model::Epoch epoch, model::Xid xid) {
    char token[40];
    const int length = snprintf(token, sizeof token, "%d:" UINT64_FORMAT, epoch.value, xid.value);
    return postgres::text_datum({token, static_cast<std::size_t>(length)});
}

}  // namespace ingest
