// A libuv loop inside the server's wait: the server waits, libuv works. A process makes at most one, and never the postmaster.
//
// - A callback of libuv calls no function of the server. It runs inside `callback`, so that no exception goes through libuv.
// - No thread is made, and no signal is handled: nothing here uses libuv's thread pool, its signals or its processes.
#pragma once

#include <exception>

#include <uv.h>

struct WaitEventSet;

namespace postgres {

class EventLoop {
public:
    EventLoop();
    EventLoop(const EventLoop&) = delete;
    EventLoop& operator=(const EventLoop&) = delete;
    // Handles must have been closed. Those whose callbacks have not run after a second are left to the end of the process.
    ~EventLoop();

    uv_loop_t* get() noexcept { return &loop_; }

    enum class WaitEnd { kLatchSet, kCallback, kTime };

    // Serves callbacks, at most `milliseconds` long and until a callback calls `end_wait` or the latch is set, which it resets.
    // Rethrows the exception that ended a callback. Ends the process if it was told to end.
    WaitEnd wait(long milliseconds);

    // For callbacks: lets `wait` return.
    void end_wait() noexcept { is_wait_over_ = true; }

    // Runs a callback's body, and keeps its exception for `wait`.
    template <typename Body>
    void callback(Body&& body) noexcept {
        try {
            body();
        } catch (...) {
            if (!exception_) exception_ = std::current_exception();
            uv_stop(&loop_);
            is_wait_over_ = true;
        }
    }

private:
    void serve();
    long wait_time(long left) const noexcept;

    uv_loop_t loop_{};
    WaitEventSet* events_ = nullptr;
    bool is_wait_over_ = false;
    std::exception_ptr exception_;
};

}  // namespace postgres
