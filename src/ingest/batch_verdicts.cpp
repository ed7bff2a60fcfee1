// SQL function batch_verdicts: tells the sender of a batch what became of each of its readings.
//
// The answer comes from the event log and from the account of the batch, as the receipt's token says. It also comes on a
// standby and in a read-only transaction.
#include <string>

#include "error_codes.hpp"
#include "model/name_text.hpp"
#include "model/receipt_token.hpp"
#include "postgres/as_owner.hpp"
#include "postgres/catalog.hpp"
#include "postgres/encoding.hpp"
#include "postgres/entry_point.hpp"
#include "postgres/error.hpp"
#include "postgres/spi.hpp"
#include "postgres/sql_function.hpp"
#include "postgres/text.hpp"
#include "runtime/installed.hpp"

#include "postgres/pg.hpp"

namespace ingest {
namespace {

using model::ReceiptToken;

// The statements see what the transaction itself has stored, even in the same statement of the client.
constexpr bool kSeesOwnWrites = true;

// Does the log have both ends of the span? The statement stored all of its events or none.
constexpr postgres::Statement kFindEnds{
    postgres::SqlCommand::kSelect,
    "SELECT count(*) FROM telemetry.event e WHERE e.xid = $2 AND e.epoch = $1 AND e.event_id IN ($3, $4)",
    4,
    {INT4OID, XID8OID, INT8OID, INT8OID},
    nullptr,
    kSeesOwnWrites};

constexpr postgres::Statement kListStored{
    postgres::SqlCommand::kSelect,
    "SELECT row_number() OVER (ORDER BY e.event_id), 'accepted', NULL::text, NULL::text, e.event_id FROM telemetry.event e "
    "WHERE e.xid = $2 AND e.epoch = $1 AND e.event_id BETWEEN $3 AND $4 ORDER BY e.event_id",
    4,
    {INT4OID, XID8OID, INT8OID, INT8OID},
    nullptr,
    kSeesOwnWrites};

constexpr postgres::Statement kFindSender{
    postgres::SqlCommand::kSelect,
    "SELECT a.sender, pg_catalog.to_regrole(pg_catalog.quote_ident(a.sender))::pg_catalog.oid "
    "FROM telemetry.batch_verdict a WHERE a.batch_key = $1 AND a.xid = $2 LIMIT 1",
    2,
    {TEXTOID, XID8OID},
    nullptr,
    kSeesOwnWrites};

// Each portion that lists no exceptional reading under an index has an event for it, in the same order. If the log no longer
// has all of these events, none of them is told apart, and their ids are NULL.
constexpr postgres::Statement kListAccount{
    postgres::SqlCommand::kSelect,
    "SELECT a.first_index + i.index + 1, coalesce(i.verdict, 'accepted'), i.sqlstate, i.reason, coalesce(i.event_id, i.stored) "
    "FROM telemetry.batch_verdict a CROSS JOIN LATERAL ("
    "  SELECT n.*, s.event_id AS stored FROM ("
    "    SELECT g.index, x.verdict, x.sqlstate, x.reason, x.event_id, "
    "CASE WHEN x.index IS NULL THEN count(*) FILTER (WHERE x.index IS NULL) OVER (ORDER BY g.index) ELSE -1 - g.index END "
    "AS place"
    "    FROM pg_catalog.generate_series(0, a.reading_count - 1) AS g (index) LEFT JOIN "
    "ROWS FROM (pg_catalog.unnest(a.indexes), pg_catalog.unnest(a.verdicts), pg_catalog.unnest(a.sqlstates), "
    "pg_catalog.unnest(a.reasons), pg_catalog.unnest(a.event_ids)) AS x (index, verdict, sqlstate, reason, event_id) "
    "ON x.index = g.index) AS n "
    "  LEFT JOIN (SELECT e.event_id, row_number() OVER (ORDER BY e.event_id) AS place, count(*) OVER () AS stored "
    "FROM telemetry.event e WHERE e.xid = a.xid AND e.epoch = $3 AND e.event_id BETWEEN a.first_event_id AND a.last_event_id) "
    "AS s ON s.place = n.place AND s.stored = a.reading_count - pg_catalog.cardinality(a.indexes)) AS i "
    "WHERE a.batch_key = $1 AND a.xid = $2 ORDER BY a.first_index, i.index",
    3,
    {TEXTOID, XID8OID, INT4OID},
    nullptr,
    kSeesOwnWrites};

ReceiptToken parse_batch_token(std::string_view sent) {
    const auto token = model::parse_receipt_token(sent);
    const bool is_of_reading = token && token->form == ReceiptToken::Form::kReading;
    if (token && !is_of_reading) return *token;
    throw postgres::Error(
        ERRCODE_INVALID_PARAMETER_VALUE, is_of_reading ? "the token is of a single reading" : "invalid token",
        "The token is " + postgres::presentable(model::quoted_for_message(sent)) + ".",
        is_of_reading
            ? "The receipt of ingest_telemetry() has the verdict: status and event_id. A refused reading raises an error."
            : "Give batch_verdicts() the column token of a batch's receipt, unchanged.");
}

[[noreturn]] void refuse_unknown(std::string_view sent) {
    throw postgres::Error(
        error_codes::kBatchNotFound, "there is no such batch",
        "The token is \"" + std::string(sent) + "\". This session sees no batch that committed under it.",
        "It was rolled back, or did not commit yet, or is older than telemetry_cqrs.verdict_retention. To be sure, send the "
        "readings again: those that are stored become duplicates.");
}

[[noreturn]] void refuse_stranger(std::string_view sender) {
    throw postgres::Error(ERRCODE_INSUFFICIENT_PRIVILEGE, "permission denied for the verdicts of this batch",
                          "Role \"" + std::string(sender) + "\" sent it.",
                          "Ask as a member of that role, or as a role that may read telemetry.rejected_readings.");
}

// P. The planner does not know how many elements an array has, so the statements join by sorting where that is possible.
postgres::StatementScope open_reading_statements() {
    const postgres::StatementScope statements = postgres::open_statements();
    postgres::set_for_statements("enable_nestloop", "off");
    postgres::set_for_statements("enable_hashjoin", "off");
    postgres::set_for_statements("jit", "off");
    return statements;
}

// P. False: the log has no such events.
bool put_stored(const ReceiptToken& token, Tuplestorestate* rows) {
    Datum values[] = {Int32GetDatum(token.epoch.value), FullTransactionIdGetDatum(FullTransactionIdFromU64(token.xid.value)),
                      Int64GetDatum(token.first_event_id), Int64GetDatum(token.last_event_id)};
    const postgres::StatementScope statements = open_reading_statements();
    bool is_null = false;
    const std::int64_t ends = DatumGetInt64(postgres::value_of(postgres::execute(kFindEnds, values), 0, 1, &is_null));
    const bool is_there = ends == (token.first_event_id == token.last_event_id ? 1 : 2);
    if (is_there) postgres::execute_into(kListStored, values, rows);
    postgres::close_statements(statements);
    return is_there;
}

// The role that sent a batch. Plain data.
struct Sender {
    bool is_known;
    const char* name;  // in the memory of the call
    Oid role;          // InvalidOid: it was dropped
};

// P.
Sender find_sender(std::string_view account_key, model::Xid xid) {
    Datum values[] = {postgres::text_datum(account_key), FullTransactionIdGetDatum(FullTransactionIdFromU64(xid.value))};
    const MemoryContext callers_context = CurrentMemoryContext;
    const postgres::StatementScope statements = postgres::open_statements();
    const postgres::StatementResult found = postgres::execute(kFindSender, values);
    Sender sender{found.row_count == 1, "", InvalidOid};
    if (sender.is_known) {
        bool is_null = false;
        sender.name = MemoryContextStrdup(callers_context, postgres::printed_value_of(found, 0, 1));
        const Datum role = postgres::value_of(found, 0, 2, &is_null);
        if (!is_null) sender.role = DatumGetObjectId(role);
    }
    postgres::close_statements(statements);
    return sender;
}

// P. May the caller see what this role sent? The owner is a member of its own role, and a superuser of every role.
bool may_see(Oid caller, Oid sender, const runtime::Installed& installed) {
    if (OidIsValid(sender) && has_privs_of_role(caller, sender)) return true;
    if (has_privs_of_role(caller, installed.owner)) return true;
    const Oid quarantine = postgres::find_relation(installed.schema, "rejected_readings");
    return OidIsValid(quarantine) && pg_class_aclcheck(quarantine, caller, ACL_SELECT) == ACLCHECK_OK;
}

// P.
void put_account(const ReceiptToken& token, Tuplestorestate* rows) {
    Datum values[] = {postgres::text_datum(token.account_key),
                      FullTransactionIdGetDatum(FullTransactionIdFromU64(token.xid.value)), Int32GetDatum(token.epoch.value)};
    const postgres::StatementScope statements = open_reading_statements();
    postgres::execute_into(kListAccount, values, rows);
    postgres::close_statements(statements);
}

void put_verdicts(std::string_view sent, Oid caller, Tuplestorestate* rows) {
    const ReceiptToken token = parse_batch_token(sent);
    const runtime::Installed installed = runtime::installed();
    const postgres::AsOwner as_owner(installed.owner);
    if (token.form == ReceiptToken::Form::kEvents) {
        if (token.first_event_id == 0) return;  // no reading, no verdict
        if (!postgres::guarded([&token, rows] { return put_stored(token, rows); })) refuse_unknown(sent);
        return;
    }
    const Sender sender = postgres::guarded([&token] { return find_sender(token.account_key, token.xid); });
    if (!sender.is_known) refuse_unknown(sent);
    if (!postgres::guarded([&] { return may_see(caller, sender.role, installed); })) refuse_stranger(sender.name);
    postgres::guarded([&token, rows] { put_account(token, rows); });
}

}  // namespace
}  // namespace ingest

TELEMETRY_FUNCTION(telemetry_get_batch_verdicts) {
    const Oid caller = GetUserId();
    Tuplestorestate* rows = postgres::guarded([fcinfo] {
        InitMaterializedSRF(fcinfo, 0);
        return reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo)->setResult;
    });
    ingest::put_verdicts(postgres::text_argument(fcinfo, 0), caller, rows);
    PG_RETURN_NULL();
}
