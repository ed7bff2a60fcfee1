// Sets the bounds by the server's own timeouts.
#include "api/bounded_transaction.hpp"

#include <string>

#include "postgres/background_worker.hpp"
#include "postgres/error.hpp"
#include "runtime/installed.hpp"
#include "runtime/settings.hpp"
#include "runtime/steady_time.hpp"

#include "postgres/pg.hpp"

namespace api {
namespace {

constexpr int kPatience = 100;  // milliseconds; a process of the server must answer a barrier soon
constexpr int kImpatience = 5;  // milliseconds
constexpr runtime::SteadyTime kImpatientTime = 1000 * 1000;

int lock_timeout = -1;  // that is in force; -1: not ours yet
runtime::SteadyTime impatient_until = 0;

void bound_lock_waits() {
    const int wanted = runtime::steady_time() < impatient_until ? kImpatience : kPatience;
    if (wanted == lock_timeout) return;
    postgres::override_setting("lock_timeout", std::to_string(wanted).c_str());
    lock_timeout = wanted;
}

}  // namespace

BoundedTransaction::Bounds::Bounds() {
    bound_lock_waits();
    enable_timeout_after(STATEMENT_TIMEOUT, runtime::settings().http_timeout);
}

BoundedTransaction::Bounds::~Bounds() {
    disable_timeout(STATEMENT_TIMEOUT, false);
    QueryCancelPending = false;
}

BoundedTransaction::BoundedTransaction() {
    (void)runtime::hold_installed();
    postgres::guarded(postgres::push_snapshot_of_now);
}

// A wait that was short already says nothing new, or no lock would ever be waited for again.
void note_wait_in_vain() noexcept {
    if (lock_timeout == kPatience) impatient_until = runtime::steady_time() + kImpatientTime;
}

}  // namespace api
