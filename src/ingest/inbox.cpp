// The triggers of telemetry.inbox, and SQL function inbox_receipt: the door for INSERT and COPY.
#include "ingest/inbox_statement.hpp"
#include "ingest/receipt.hpp"
#include "postgres/entry_point.hpp"
#include "postgres/error.hpp"
#include "postgres/text.hpp"

#include "postgres/pg.hpp"

namespace ingest {
namespace {

constexpr Oid kInboxTypes[kInboxColumns] = {TEXTOID, TIMESTAMPTZOID, FLOAT8OID, FLOAT8OID, TEXTOID, JSONBOID, TEXTOID};

// A view of a user may have other columns, of which no row could be read.
bool has_inbox_columns(const Relation view, bool is_of_texts) {
    const TupleDesc columns = RelationGetDescr(view);
    if (columns->natts < kInboxColumns) return false;
    for (int i = 0; i < kInboxColumns; ++i)
        if (TupleDescAttr(columns, i)->atttypid != (is_of_texts ? TEXTOID : kInboxTypes[i])) return false;
    return true;
}

// Returns the trigger data of a call that came as such a trigger on a view.
const TriggerData* trigger_of(FunctionCallInfo fcinfo, bool is_row_trigger, bool is_of_texts = false) {
    if (CALLED_AS_TRIGGER(fcinfo)) {
        const auto* data = reinterpret_cast<const TriggerData*>(fcinfo->context);
        if (TRIGGER_FIRED_BY_INSERT(data->tg_event) && is_row_trigger == (TRIGGER_FIRED_FOR_ROW(data->tg_event) != 0) &&
            data->tg_relation->rd_rel->relkind == RELKIND_VIEW &&
            (!is_row_trigger || has_inbox_columns(data->tg_relation, is_of_texts)))
            return data;
    }
    throw postgres::Error(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED, "the function is a trigger of the inboxes",
                          "It was not called for an insert into a view with the columns of an inbox.");
}

// The row as it came, for RETURNING. After a trigger that returns the very tuple that it got, the server does not free that
// tuple, and a long COPY would fill the memory. The copy lies in memory that the server resets for each row.
Datum returned_row(const TriggerData* data) {
    return PointerGetDatum(postgres::guarded([data] { return heap_copytuple(data->tg_trigtuple); }));
}

}  // namespace
}  // namespace ingest

TELEMETRY_FUNCTION(telemetry_begin_intake) {
    const TriggerData* data = ingest::trigger_of(fcinfo, false);
    ingest::begin_statement(RelationGetRelid(data->tg_relation));
    return PointerGetDatum(nullptr);
}

TELEMETRY_FUNCTION(telemetry_take_inbox_row) {
    const TriggerData* data = ingest::trigger_of(fcinfo, true);
    ingest::open_statement(RelationGetRelid(data->tg_relation)).take(data->tg_trigslot);
    return ingest::returned_row(data);
}

TELEMETRY_FUNCTION(telemetry_take_inbox_text_row) {
    const TriggerData* data = ingest::trigger_of(fcinfo, true, true);
    ingest::open_statement(RelationGetRelid(data->tg_relation)).take_texts(data->tg_trigslot);
    return ingest::returned_row(data);
}

TELEMETRY_FUNCTION(telemetry_end_intake) {
    const TriggerData* data = ingest::trigger_of(fcinfo, false);
    ingest::end_statement(RelationGetRelid(data->tg_relation));
    return PointerGetDatum(nullptr);
}

TELEMETRY_FUNCTION(telemetry_inbox_receipt) {
    const ingest::InboxReceipt* receipt = ingest::last_receipt();
    if (receipt == nullptr) PG_RETURN_NULL();
    return ingest::batch_receipt(fcinfo, receipt->totals, receipt->token);
}
