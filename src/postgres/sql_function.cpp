// Reads arguments and makes results by the server's macros.
#include "postgres/sql_function.hpp"

#include "postgres/error.hpp"
#include "postgres/text.hpp"

#include "postgres/pg.hpp"

namespace postgres {

std::string_view text_argument(FunctionCallInfo fcinfo, int number) {
    return guarded([fcinfo, number] { return view_of(PG_GETARG_TEXT_PP(number)); });
}

text* optional_text(FunctionCallInfo fcinfo, int number) {
    return PG_ARGISNULL(number) ? nullptr : PG_GETARG_TEXT_PP(number);
}

std::optional<std::string_view> optional_view_of(const text* value) noexcept {
    if (value == nullptr) return std::nullopt;
    return view_of(value);
}

Datum row_of(FunctionCallInfo fcinfo, Datum* values, bool* nulls) {
    const Oid type = get_func_rettype(fcinfo->flinfo->fn_oid);
    TupleDesc shape = nullptr;
    if (type != RECORDOID)
        shape = lookup_type_cache(type, TYPECACHE_TUPDESC)->tupDesc;  // one look-up, while the other way copies the shape
    else if (get_call_result_type(fcinfo, nullptr, &shape) == TYPEFUNC_COMPOSITE)
        shape = BlessTupleDesc(shape);
    if (shape == nullptr) elog(ERROR, "return type must be a row type");
    return HeapTupleGetDatum(heap_form_tuple(shape, values, nulls));
}

Snapshot callers_snapshot() {
    if (!ActiveSnapshotSet()) elog(ERROR, "no active snapshot");
    return GetActiveSnapshot();
}

void require_writable(const char* function) {
    PreventCommandIfReadOnly(function);
    PreventCommandIfParallelMode(function);
}

}  // namespace postgres
