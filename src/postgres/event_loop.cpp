// Waits for the latch, the postmaster's death and libuv's descriptor together.
#include "postgres/event_loop.hpp"

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <utility>

#include "postgres/background_worker.hpp"
#include "postgres/error.hpp"
#include "postgres/server_versions.hpp"

#include "postgres/pg.hpp"

namespace postgres {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kLongestClosing = std::chrono::seconds(1);

long milliseconds_until(Clock::time_point time) {
    return static_cast<long>(std::chrono::ceil<std::chrono::milliseconds>(time - Clock::now()).count());
}

}  // namespace

EventLoop::EventLoop() {
    if (const int error = uv_loop_init(&loop_); error != 0) throw std::runtime_error(uv_strerror(error));
    guarded([this] {
        events_ = make_wait_event_set(TopMemoryContext, 3);
        AddWaitEventToSet(events_, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, nullptr);
        AddWaitEventToSet(events_, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, nullptr, nullptr);
        AddWaitEventToSet(events_, WL_SOCKET_READABLE, uv_backend_fd(&loop_), nullptr, nullptr);
    });
}

EventLoop::~EventLoop() {
    const auto deadline = Clock::now() + kLongestClosing;
    while (uv_loop_alive(&loop_) != 0 && Clock::now() < deadline) uv_run(&loop_, UV_RUN_NOWAIT);
    (void)uv_loop_close(&loop_);
    FreeWaitEventSet(events_);
}

// Even a line for the log ends in a check for interrupts, and a FATAL must not leave from inside libuv.
void EventLoop::serve() {
    InterruptHoldoffCount = InterruptHoldoffCount + 1;  // HOLD_INTERRUPTS(), whose ++ on a volatile C++20 deprecates
    uv_run(&loop_, UV_RUN_NOWAIT);
    InterruptHoldoffCount = InterruptHoldoffCount - 1;
    if (exception_) std::rethrow_exception(std::exchange(exception_, nullptr));
}

// A watcher that libuv has not registered yet shows as a time of 0. A loop without watchers would show the same.
long EventLoop::wait_time(long left) const noexcept {
    if (uv_loop_alive(&loop_) == 0) return left;
    const int libuvs = uv_backend_timeout(&loop_);
    return libuvs < 0 ? left : std::min<long>(left, libuvs);
}

EventLoop::WaitEnd EventLoop::wait(long milliseconds) {
    const auto deadline = Clock::now() + std::chrono::milliseconds(milliseconds);
    is_wait_over_ = false;
    for (;;) {
        serve();
        const long left = milliseconds_until(deadline);
        if (is_wait_over_) return WaitEnd::kCallback;
        if (left <= 0) return WaitEnd::kTime;
        const bool is_latch_set = guarded([this, wait = wait_time(left)] {
            WaitEvent event;
            const int count = WaitEventSetWait(events_, wait, &event, 1, PG_WAIT_EXTENSION);
            const bool is_set = count > 0 && (event.events & WL_LATCH_SET) != 0;
            if (is_set) ResetLatch(MyLatch);
            leave_if_asked();
            CHECK_FOR_INTERRUPTS();
            return is_set;
        });
        if (!is_latch_set) continue;
        serve();
        return WaitEnd::kLatchSet;
    }
}

}  // namespace postgres
