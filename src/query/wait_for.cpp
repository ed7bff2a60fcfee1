// SQL function wait_for: waits until a projection has applied the events that a transaction stored.
//
// The session looks again and again:
// 1. Each look has a fresh snapshot and a subtransaction that is rolled back, so no lock outlives the look.
// 2. Between two looks the session sleeps until a pass of the projector is over. Without shared memory nothing tells it so, and
//    it naps for a short while instead.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "error_codes.hpp"
#include "event_log/epoch.hpp"
#include "event_log/transaction.hpp"
#include "feed/position.hpp"
#include "feed/progress.hpp"
#include "feed/tail.hpp"
#include "model/name_text.hpp"
#include "model/receipt_token.hpp"
#include "postgres/encoding.hpp"
#include "postgres/entry_point.hpp"
#include "postgres/error.hpp"
#include "postgres/server_versions.hpp"
#include "postgres/sql_function.hpp"
#include "postgres/subtransaction.hpp"
#include "postgres/soft_input.hpp"
#include "postgres/text.hpp"
#include "read_model/registry.hpp"
#include "runtime/installed.hpp"
#include "runtime/rest.hpp"
#include "runtime/shared_state.hpp"
#include "runtime/presence.hpp"

#include "postgres/pg.hpp"

namespace query {
namespace {

using event_log::Fate;
using feed::EpochProgress;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kFirstNap{10};
constexpr milliseconds kLongestNap{100};
constexpr milliseconds kLongestSleep{250};  // because replay on a standby tells nobody
constexpr milliseconds kBeforeTransactionTimeout{100};

struct Token {
    model::Epoch epoch;
    model::Xid xid;
};

enum class TokenState { kPending, kApplied, kRolledBack };

Token parse_token(std::string_view sent) {
    // Which events of the transaction are those of a batch makes no difference here.
    if (const auto token = model::parse_receipt_token(sent)) return {token->epoch, token->xid};
    throw postgres::Error(ERRCODE_INVALID_PARAMETER_VALUE, "invalid token",
                          "The token is " + postgres::presentable(model::quoted_for_message(sent)) + ".",
                          "Give wait_for() the column token of a receipt, unchanged.");
}

milliseconds timeout_of(double wanted) {
    constexpr double kLongest = 1e12;  // 30 years
    if (std::isnan(wanted) || wanted < 0)
        throw postgres::Error(ERRCODE_INVALID_PARAMETER_VALUE, "timeout must not be negative");
    return milliseconds(static_cast<std::int64_t>(std::min(wanted, kLongest)));
}

milliseconds timeout_of(const Interval& interval) {
    const double days = interval.month * static_cast<double>(DAYS_PER_MONTH) + interval.day;
    return timeout_of((days * static_cast<double>(USECS_PER_DAY) + static_cast<double>(interval.time)) / 1000);
}

milliseconds timeout_in_seconds(double seconds) {
    return timeout_of(seconds * 1000);
}

// A number of seconds, or an interval as the server reads it.
milliseconds timeout_in_text(FunctionCallInfo fcinfo, int number) {
    const char* sent = postgres::guarded([=] { return postgres::c_string_of(PG_GETARG_DATUM(number)); });
    double seconds = 0;
    if (postgres::guarded([=, &seconds] { return postgres::read_double(sent, seconds); }) == postgres::InputFlaw::kNone)
        return timeout_in_seconds(seconds);
    return timeout_of(*postgres::guarded([sent] {
        return DatumGetIntervalP(
            DirectFunctionCall3(interval_in, CStringGetDatum(sent), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
    }));
}

// Looks whether the transaction of a token is applied. It remembers between looks what it has found.
class TokenWatch {
public:
    TokenWatch(Token token, std::string_view projection) : token_(token), projection_(projection) {}

    TokenState look();

private:
    TokenState look_under(::Snapshot snapshot, Fate fate);
    TokenState look_in_log(bool is_passed, ::Snapshot snapshot, bool is_local, Fate fate) const;
    TokenState look_at_tail(const feed::Progress& progress, ::Snapshot snapshot);
    [[noreturn]] void refuse_unknown() const;

    Token token_;
    std::string projection_;
    std::optional<model::Snapshot> committed_snapshot_;  // of the first look that found it committed and without events
};

void TokenWatch::refuse_unknown() const {
    throw postgres::Error(ERRCODE_INVALID_PARAMETER_VALUE, "the token is not of this database",
                          "There is no transaction " + std::to_string(token_.xid.value) + " in epoch " +
                              std::to_string(token_.epoch.value) + ".");
}

// For a transaction that stored nothing, such as a batch of duplicates. The events that its receipt speaks of were committed
// before it. So it counts as applied when everything is applied that was committed at the first look.
TokenState TokenWatch::look_at_tail(const feed::Progress& progress, ::Snapshot snapshot) {
    if (!committed_snapshot_)
        committed_snapshot_ = postgres::guarded([] { return RecoveryInProgress(); }) ? feed::everything_shown_by(snapshot)
                                                                                     : feed::snapshot_of(snapshot);
    return feed::look_at_tail(progress, progress.cursor_of(projection_), snapshot, &*committed_snapshot_).has_events
               ? TokenState::kPending
               : TokenState::kApplied;
}

// For an epoch of another place, or one that is over. There a transaction number tells nothing, because the server has given
// out the numbers after the epoch's end again. A transaction of such an epoch has committed if it left events.
TokenState TokenWatch::look_in_log(bool is_passed, ::Snapshot snapshot, bool is_local, Fate fate) const {
    if (is_local && fate == Fate::kInProgress) return TokenState::kPending;  // prepared before a standby was promoted
    if (!event_log::has_events_of(token_.epoch, token_.xid, snapshot)) return TokenState::kRolledBack;
    return is_passed ? TokenState::kApplied : TokenState::kPending;
}

// The epoch that the next command here would open, given the epochs that there are.
model::Epoch next_epoch(const std::vector<EpochProgress>& epochs, const runtime::LogPlace& here) {
    if (epochs.empty()) return model::Epoch{event_log::number_of_next_epoch(0, nullptr, here)};
    const EpochProgress& last = epochs.back();
    return model::Epoch{event_log::number_of_next_epoch(last.epoch.value, &last.place, here)};
}

TokenState TokenWatch::look_under(::Snapshot snapshot, Fate fate) {
    const runtime::LogPlace here = runtime::current_place();
    const bool in_recovery = postgres::guarded([] { return RecoveryInProgress(); });
    const feed::Progress progress = feed::read_progress(snapshot);
    const std::vector<EpochProgress>& epochs = progress.epochs;
    const auto epoch =
        std::find_if(epochs.begin(), epochs.end(), [this](const EpochProgress& each) { return each.epoch == token_.epoch; });
    if (epoch == epochs.end()) {
        // The row of the epoch is not committed or not replayed yet, or there never was one.
        if (in_recovery || fate == Fate::kInProgress) return TokenState::kPending;
        // The transaction that opens an epoch also writes its row, and its rollback takes the row along.
        if (fate == Fate::kRolledBack && token_.epoch == next_epoch(epochs, here)) return TokenState::kRolledBack;
        refuse_unknown();
    }
    const bool is_local = epoch->is_local(here);
    const bool is_over =
        std::any_of(epoch + 1, epochs.end(), [&here](const EpochProgress& each) { return each.is_local(here); });
    const auto position = feed::position_in(*epoch, progress.cursor_of(projection_), snapshot);
    const bool is_passed = !position || position->snapshot.covers(token_.xid);
    if (!is_local || is_over || epoch->place.timeline != here.timeline) return look_in_log(is_passed, snapshot, is_local, fate);
    switch (fate) {
        case Fate::kInProgress:
            return TokenState::kPending;
        case Fate::kRolledBack:
            return TokenState::kRolledBack;
        case Fate::kForgotten:
            return look_in_log(is_passed, snapshot, is_local, fate);
        case Fate::kNotBegun:
            if (in_recovery) return TokenState::kPending;
            refuse_unknown();
        case Fate::kCommitted:
            break;
    }
    if (is_passed) return TokenState::kApplied;
    if (!committed_snapshot_ && event_log::has_events_of(token_.epoch, token_.xid, snapshot)) return TokenState::kPending;
    return look_at_tail(progress, snapshot);
}

TokenState TokenWatch::look() {
    // The fate is read before the snapshot is taken. So the snapshot shows the transaction if its fate is kCommitted.
    const Fate fate = event_log::fate_of(token_.xid);
    const ::Snapshot snapshot = postgres::guarded([] {
        PushActiveSnapshot(GetLatestSnapshot());
        return GetActiveSnapshot();
    });
    return look_under(snapshot, fate);
}

// The projector cannot apply the session's own transaction while this command is running.
void refuse_own_transaction(const Token& token) {
    const std::uint64_t own_xid = postgres::guarded([] {
        const FullTransactionId xid = GetTopFullTransactionIdIfAny();
        return FullTransactionIdIsValid(xid) ? U64FromFullTransactionId(xid) : 0;
    });
    if (own_xid != token.xid.value) return;
    const std::vector<EpochProgress> epochs = feed::read_progress(postgres::guarded([] { return GetActiveSnapshot(); })).epochs;
    // The number may be the same in an older epoch or at another place. The session's own epoch may be so new that its snapshot
    // does not show it.
    if (!epochs.empty() && token.epoch < epochs.back().epoch) return;
    if (!epochs.empty() && token.epoch == epochs.back().epoch && !epochs.back().is_local(runtime::current_place())) return;
    throw postgres::Error(error_codes::kOwnTransaction, "the token is of the transaction in progress",
                          "The projector applies its readings after its commit.", "Commit first, then wait.");
}

// The number of passes as it was before a look. When it has grown, another look is worthwhile.
struct SeenPasses {
    explicit SeenPasses(std::string_view projection) : signal(runtime::pass_signal(runtime::pass_signal_number(projection))) {
        if (signal != nullptr) pass_count = pg_atomic_read_u64(&signal->pass_count);
    }

    runtime::PassSignal* signal;
    std::uint64_t pass_count = 0;
};

// Sleeps until a pass of the projection is over that `seen` does not know. It prepares for the sleep after the look, because
// the end of the look's subtransaction would cancel the preparation.
void sleep_until_pass(const SeenPasses& seen, milliseconds longest) {
    const long sleep = static_cast<long>(std::min(longest, kLongestSleep).count());
    postgres::guarded([&seen, sleep] {
        ConditionVariablePrepareToSleep(&seen.signal->pass_ended);
        if (pg_atomic_read_u64(&seen.signal->pass_count) == seen.pass_count)
            ConditionVariableTimedSleep(&seen.signal->pass_ended, sleep, PG_WAIT_EXTENSION);
        ConditionVariableCancelSleep();
        CHECK_FOR_INTERRUPTS();
    });
}

void nap_for(milliseconds nap) {
    postgres::guarded([sleep = static_cast<long>(nap.count())] {
        (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, sleep, PG_WAIT_EXTENSION);
        ResetLatch(MyLatch);
        CHECK_FOR_INTERRUPTS();
    });
}

// Cuts the timeout short of transaction_timeout, which would end the whole session.
milliseconds within_transaction_timeout(milliseconds timeout) {
    const TimestampTz timeout_at = postgres::end_by_transaction_timeout();
    if (timeout_at == DT_NOEND) return timeout;
    const milliseconds left{(timeout_at - GetCurrentTimestamp()) / 1000};
    return std::clamp(left - kBeforeTransactionTimeout, milliseconds::zero(), timeout);
}

const char* wait_for(const Token& token, milliseconds timeout, std::string_view projection) {
    const Clock::time_point deadline = Clock::now() + within_transaction_timeout(timeout);
    TokenWatch watch(token, projection);
    milliseconds nap = kFirstNap;
    bool is_rest_ended = false;
    runtime::worker_presence().start_missing(runtime::Role::kProjector);
    for (;;) {
        const SeenPasses seen(projection);
        TokenState state = TokenState::kPending;
        postgres::in_subtransaction_rolled_back([&] { state = watch.look(); });
        if (state == TokenState::kApplied) return "applied";
        if (state == TokenState::kRolledBack) return "rolled back";
        const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now());
        if (left <= milliseconds::zero()) return "timeout";
        // Once is enough: the next pass shows a transaction that this look has found committed. While the transaction is open,
        // passes for others need not hurry.
        if (!is_rest_ended) runtime::end_rest_of_projector();
        is_rest_ended = true;
        if (seen.signal != nullptr) {
            sleep_until_pass(seen, left);
        } else {
            nap_for(std::min(left, nap));
            nap = std::min(nap * 2, kLongestNap);
        }
    }
}

Datum answer(FunctionCallInfo fcinfo, milliseconds timeout) {
    const Token token = parse_token(postgres::text_argument(fcinfo, 0));
    const std::string_view projection = postgres::text_argument(fcinfo, 2);
    read_model::require_projection(projection, postgres::guarded([] { return GetActiveSnapshot(); }));
    refuse_own_transaction(token);
    const char* outcome = wait_for(token, timeout, projection);
    return postgres::guarded([outcome] { return postgres::text_datum(outcome); });
}

}  // namespace
}  // namespace query

TELEMETRY_FUNCTION(telemetry_wait_for) {
    return query::answer(fcinfo, query::timeout_of(*PG_GETARG_INTERVAL_P(1)));
}

TELEMETRY_FUNCTION(telemetry_wait_for_seconds) {
    return query::answer(fcinfo, query::timeout_in_seconds(PG_GETARG_FLOAT8(1)));
}

TELEMETRY_FUNCTION(telemetry_wait_for_text) {
    return query::answer(fcinfo, query::timeout_in_text(fcinfo, 1));
}
