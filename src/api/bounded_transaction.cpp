// Sets the bounds by the server's own timeouts.
#include "api/bounded_transaction.hpp"

#include "postgres/error.hpp"
#include "runtime/installed.hpp"
#include "runtime/settings.hpp"

#include "postgres/pg.hpp"

namespace api {
namespace {

constexpr const char* kLongestLockWait = "100ms";  // a process of the server must answer a barrier soon

}  // namespace

TimeLimit::TimeLimit(int milliseconds) noexcept {
    enable_timeout_after(STATEMENT_TIMEOUT, milliseconds);
}

TimeLimit::~TimeLimit() {
    disable_timeout(STATEMENT_TIMEOUT, false);
    QueryCancelPending = false;
}

BoundedTransaction::BoundedTransaction() : limit_(runtime::settings().http_timeout) {
    postgres::guarded([] { postgres::set_for_transaction("lock_timeout", kLongestLockWait); });
    (void)runtime::hold_installed();
    postgres::guarded(postgres::push_snapshot_of_now);
}

}  // namespace api
