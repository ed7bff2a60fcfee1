// Brings the body of a request into the form that the door takes, and the receipt into that of an answer.
#include "api/commands.hpp"

#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "api/bounded_transaction.hpp"
#include "api/statement.hpp"
#include "http/ingest_body.hpp"
#include "model/json_text.hpp"
#include "postgres/error.hpp"
#include "postgres/transaction.hpp"
#include "runtime/settings.hpp"

#include "postgres/pg.hpp"

namespace api {
namespace {

constexpr const char* kStore =
    "SELECT b.received, b.accepted, b.duplicates, b.conflicts, b.rejected, b.first_event_id, b.last_event_id, b.token "
    "FROM telemetry.ingest_telemetry_batch($1, $2, $3) AS b";
enum ReceiptColumn { kReceived, kAccepted, kDuplicates, kConflicts, kRejected, kFirstEventId, kLastEventId, kToken };

// The verdicts of those readings that were not stored. Duplicates are counted, and nobody asks for them one by one.
constexpr const char* kVerdicts =
    "SELECT COALESCE(json_agg(json_build_object('item_index', v.item_index, 'verdict', v.verdict, 'sqlstate', v.sqlstate, "
    "'reason', v.reason, 'event_id', v.event_id) ORDER BY v.item_index), '[]')::text "
    "FROM telemetry.batch_verdicts($1) AS v WHERE v.verdict NOT IN ('accepted', 'duplicate')";
constexpr const char* kOneEvent = "SELECT v.event_id FROM telemetry.batch_verdicts($1) AS v";

BoundText text(std::optional<std::string> value) {
    return {http::ParameterType::kText, std::move(value)};
}

void append_number(std::string& json, const char* name, const std::optional<std::string>& digits) {
    json.append(json.size() > 1 ? ",\"" : "\"").append(name).append("\":").append(digits.value_or("null"));
}

void append_token(std::string& json, const CommandRow& receipt) {
    json += ",\"token\":";
    if (receipt.columns[kToken])
        model::append_json_string(json, *receipt.columns[kToken]);
    else
        json += "null";
}

http::Response json_response(int status, std::string json) {
    http::Response response;
    response.status = status;
    response.content_type = "application/json";
    response.body = std::move(json) + "}\n";
    return response;
}

bool is_zero(const std::optional<std::string>& digits) {
    return digits == "0";
}

http::Response answer_single(const Caller& caller, const CommandRow& receipt) {
    const bool is_stored = !is_zero(receipt.columns[kAccepted]), is_duplicate = !is_zero(receipt.columns[kDuplicates]);
    std::optional<std::string> event_id = receipt.columns[kFirstEventId];
    if (is_duplicate && receipt.columns[kToken]) {
        const BoundText token[] = {text(receipt.columns[kToken])};
        event_id = command(caller, kOneEvent, token).columns[0];
    }
    // A reading that a policy keeps in the quarantine raises no error.
    std::string json = is_stored      ? "{\"status\":\"accepted\""
                       : is_duplicate ? "{\"status\":\"duplicate\""
                                      : "{\"status\":\"quarantined\"";
    append_number(json, "event_id", event_id);
    append_token(json, receipt);
    return json_response(is_stored || is_duplicate ? 200 : 202, std::move(json));
}

http::Response answer_list(const Caller& caller, const CommandRow& receipt) {
    std::string json = "{";
    append_number(json, "received", receipt.columns[kReceived]);
    append_number(json, "accepted", receipt.columns[kAccepted]);
    append_number(json, "duplicates", receipt.columns[kDuplicates]);
    append_number(json, "conflicts", receipt.columns[kConflicts]);
    append_number(json, "rejected", receipt.columns[kRejected]);
    append_number(json, "first_event_id", receipt.columns[kFirstEventId]);
    append_number(json, "last_event_id", receipt.columns[kLastEventId]);
    append_token(json, receipt);
    const bool has_refused = !is_zero(receipt.columns[kConflicts]) || !is_zero(receipt.columns[kRejected]);
    if (!has_refused) return json_response(200, std::move(json));
    const BoundText token[] = {text(receipt.columns[kToken])};
    json += ",\"verdicts\":" + command(caller, kVerdicts, token).columns[0].value_or("[]");
    return json_response(207, std::move(json));
}

http::Response store(const Caller& caller, const http::IngestBody& body, const std::optional<std::string>& time_unit) {
    const BoundText parameters[] = {text(body.json), text(body.is_single ? "abort" : "quarantine"), text(time_unit)};
    const CommandRow receipt = command(caller, kStore, parameters);
    postgres::guarded(postgres::show_own_writes);
    return body.is_single ? answer_single(caller, receipt) : answer_list(caller, receipt);
}

// Sets the end of the commit where something was written.
http::Response run(const http::Request& request, const http::RouteMatch& found, std::uint64_t& commit_end) {
    auto body = http::ingest_body(request, static_cast<std::size_t>(runtime::settings().http_body) * 1024);
    if (const auto* problem = std::get_if<http::Problem>(&body)) return http::response_of(*problem);
    BoundedTransaction transaction;
    const auto caller = find_caller(request.authorization);
    if (const auto* problem = std::get_if<http::Problem>(&caller)) return http::response_of(*problem);
    http::Response response = store(std::get<Caller>(caller), std::get<http::IngestBody>(body), found.values.front());
    const bool has_written = TransactionIdIsValid(GetTopTransactionIdIfAny());
    transaction.commit();
    if (has_written) commit_end = XactLastCommitEnd;
    return response;
}

}  // namespace

UnconfirmedCommand run_command(http::Received received, const http::RouteMatch& found) {
    UnconfirmedCommand done{std::move(received), {}, 0};
    done.response = response_or_problem([&] { return run(done.received.request, found, done.commit_end); });
    http::Request kept;  // the answer needs the origin, and the body may be large
    kept.origin = std::move(done.received.request.origin);
    done.received.request = std::move(kept);
    done.deadline = runtime::steady_time() + runtime::settings().http_timeout * runtime::SteadyTime{1000};
    return done;
}

void flush_commits(std::span<const UnconfirmedCommand> commands) {
    std::uint64_t end = 0;
    for (const UnconfirmedCommand& each : commands) end = Max(end, each.commit_end);
    if (end != 0) postgres::guarded([end] { XLogFlush(end); });
}

// The server itself would wait here as long as it takes.
bool is_replicated(const UnconfirmedCommand& command) {
    const bool has_standbys = max_wal_senders > 0 && SyncRepStandbyNames != nullptr && SyncRepStandbyNames[0] != '\0';
    if (command.commit_end == 0 || !has_standbys) return true;
    return postgres::guarded([end = command.commit_end] {
        LWLockAcquire(SyncRepLock, LW_SHARED);
        const bool is_there = WalSndCtl->lsn[SYNC_REP_WAIT_FLUSH] >= end;
        LWLockRelease(SyncRepLock);
        return is_there;
    });
}

}  // namespace api
