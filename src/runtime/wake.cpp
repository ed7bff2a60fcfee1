// A callback at the end of the transaction wakes the others. It looks nothing up, because nothing may fail after a commit.
#include "runtime/wake.hpp"

#include <algorithm>
#include <iterator>
#include <span>

#include "postgres/entry_point.hpp"
#include "postgres/error.hpp"
#include "runtime/installed.hpp"
#include "runtime/presence.hpp"

#include "postgres/pg.hpp"

namespace runtime {
namespace {

// The transaction in progress has asked for these.
bool wants_awake[kRoleCount] = {};
bool wants_installation_told = false;
bool wants_waiters_told[kPassSignalCount] = {};  // by the number of the signal

bool has_some(std::span<const bool> wishes) noexcept {
    return std::any_of(wishes.begin(), wishes.end(), [](bool each) { return each; });
}

void tell_wanted_waiters() noexcept {
    for (int number = 0; number < kPassSignalCount; ++number) {
        PassSignal* signal = wants_waiters_told[number] ? pass_signal(number) : nullptr;
        if (signal == nullptr) continue;
        pg_atomic_fetch_add_u64(&signal->pass_count, 1);
        ConditionVariableBroadcast(&signal->pass_ended);
    }
}

void wake_wanted() noexcept {
    for (const Role role : kRoles)
        if (wants_awake[static_cast<int>(role)]) worker_presence().wake(role);
    if (wants_installation_told) worker_presence().tell_installed();
}

// Runs after the commit became visible. Raises nothing, allocates nothing, reads no table.
void end_of_transaction(XactEvent event, void*) noexcept {
    if (!wants_installation_told && !has_some(wants_awake) && !has_some(wants_waiters_told)) return;
    switch (event) {
        case XACT_EVENT_COMMIT:
            tell_wanted_waiters();
            wake_wanted();
            [[fallthrough]];
        case XACT_EVENT_ABORT:
        case XACT_EVENT_PREPARE:
            wants_installation_told = false;
            std::fill(std::begin(wants_awake), std::end(wants_awake), false);
            std::fill(std::begin(wants_waiters_told), std::end(wants_waiters_told), false);
            break;
        default:
            break;
    }
}

}  // namespace

void wake_at_commit(Role role) {
    bool& is_wanted = wants_awake[static_cast<int>(role)];
    if (is_wanted) return;
    worker_presence().prepare_to_wake(role);
    is_wanted = true;
}

void tell_waiters_at_commit(std::string_view projection) noexcept {
    wants_waiters_told[pass_signal_number(projection)] = true;
}

void watch_commits() {
    postgres::guarded([] { RegisterXactCallback(end_of_transaction, nullptr); });
}

}  // namespace runtime

TELEMETRY_FUNCTION(telemetry_announce_installation) {
    runtime::announce_relations();
    runtime::wants_installation_told = true;
    PG_RETURN_VOID();
}
