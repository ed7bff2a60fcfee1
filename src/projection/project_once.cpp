// SQL procedure project_once(): makes passes in a client's session until nothing is left.
#include <exception>
#include <string>
#include <vector>

#include "error_codes.hpp"
#include "postgres/entry_point.hpp"
#include "postgres/error.hpp"
#include "postgres/injection_point.hpp"
#include "postgres/spi.hpp"
#include "postgres/subtransaction.hpp"
#include "projection/applier.hpp"
#include "projection/failure.hpp"
#include "projection/notification.hpp"

#include "postgres/pg.hpp"

namespace projection {
namespace {

// Is the call inside a transaction block or a function, or has the caller's own procedure written something? project_once()
// would commit that work along with its own.
bool is_in_callers_transaction(FunctionCallInfo fcinfo) {
    return fcinfo->context == nullptr || !IsA(fcinfo->context, CallContext) ||
           reinterpret_cast<CallContext*>(fcinfo->context)->atomic || TransactionIdIsValid(GetTopTransactionIdIfAny());
}

// P. Ends the transaction and begins the next one. No snapshot of the caller reaches into it.
void next_transaction() {
    postgres::begin_next_transaction();
    XactIsoLevel = XACT_READ_COMMITTED;
}

// Makes one pass in a subtransaction, so that `project_once` can go on after a failure. False: another try is worth it.
bool try_pass(Applier& applier, Pass& pass) {
    try {
        postgres::in_subtransaction([&] { pass = applier.run({.serves_lazy = true, .lock_timeout = 0}); });
        return true;
    } catch (const std::exception&) {
        if (is_interruption() || !applier.be_careful()) throw;
        return false;
    }
}

void apply_everything() {
    Applier applier;
    std::exception_ptr failure;
    for (bool more = true; more;) {
        postgres::guarded([] { next_transaction(); });
        Pass pass;
        if (!try_pass(applier, pass)) continue;
        for (const ConsumerFailure& each : pass.failures) {
            if (each.parks) continue;
            applier.suspend(each.consumer, true);
            if (!failure) failure = each.cause;
        }
        if (pass.outcome == PassOutcome::kAbsent)
            throw postgres::Error(error_codes::kNotInstalled, "extension telemetry_cqrs was dropped",
                                  "Another session dropped it while this call ran.", "Nothing is left to apply.");
        more = pass.has_more;
        if (pass.notifications.empty()) continue;
        std::vector<const char*> payloads;
        for (const std::string& each : pass.notifications) payloads.push_back(each.c_str());
        postgres::guarded([first = payloads.data(), count = payloads.size()] {
            next_transaction();
            TELEMETRY_INJECTION_POINT_IN_P("pass_committed");
            for (std::size_t i = 0; i < count; ++i) notify(first[i]);
        });
    }
    postgres::guarded([] { postgres::begin_next_transaction(); });
    if (failure) std::rethrow_exception(failure);
}

}  // namespace
}  // namespace projection

TELEMETRY_FUNCTION(telemetry_project_once) {
    if (projection::is_in_callers_transaction(fcinfo))
        throw postgres::Error(ERRCODE_ACTIVE_SQL_TRANSACTION,
                              "telemetry.project_once() cannot run inside a transaction block or a function", {},
                              "Call it as a statement of its own, because it uses transactions of its own.");
    postgres::guarded([] {
        PreventCommandDuringRecovery("CALL telemetry.project_once()");
        PreventCommandIfReadOnly("CALL telemetry.project_once()");
        postgres::open_own_transactions();
    });
    projection::apply_everything();
    postgres::guarded([] { postgres::close_own_transactions(); });
    PG_RETURN_VOID();
}
