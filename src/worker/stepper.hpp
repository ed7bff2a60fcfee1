// The projector's work in a turn: a pass in a transaction of its own, and the notifications of its batches in another one. It
// keeps failing consumers apart from the others.
//
// A step that closes a batch waits for the disk, and commands that commit meanwhile wait with it. While little comes in, steps
// leave the batch open. So readings are visible at once, and one wait serves several steps:
// - Between two steps that close a batch there are 20 milliseconds.
// - A batch is due 2 milliseconds after its first events were applied, or later if the last one was closed just before.
#pragma once

#include <cstdint>
#include <exception>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "postgres/error.hpp"
#include "projection/applier.hpp"
#include "projection/failure.hpp"
#include "runtime/backoff.hpp"
#include "runtime/steady_time.hpp"

namespace worker {

struct Step {
    std::int64_t events = 0;                       // that were applied
    bool has_more = false;                         // more can be done at once
    bool is_absent = false;                        // the extension is gone
    bool has_replaced = false;                     // a rebuild has replaced what readers see
    bool is_open = false;                          // the log was opened here, so the projector may write
    bool tries_again = false;                      // something failed and is tried again later
    std::optional<postgres::ErrorReport> failure;  // the first of this step; everything else was done
};

// When a consumer that failed, or a pass, is tried again.
class Retry {
public:
    bool is_due(runtime::SteadyTime now) const noexcept { return due_at_ <= now; }
    void put_off(int sqlstate) noexcept;

private:
    runtime::SteadyTime due_at_ = 0;
    runtime::Backoff backoff_{1'000'000, 60'000'000};
};

class Stepper {
public:
    // Makes one pass, and closes the open batch if it is due. No other transaction is open. Then it sends the notification of
    // the batch. If that fails, the notification is sent later, because the batch is in its table.
    //
    // A consumer that fails is recorded and left out: for 1 second, then twice as long each time, at most a minute; always
    // 2 seconds after TC204. The others go on. If the pass itself fails, the stepper records that for every consumer, and makes
    // no pass for as long. The step throws, with its transaction rolled back, if it was cancelled or failed before the pass
    // knew what to do.
    Step step();

    // The time from which on a step would close the open batch. Nothing: no batch is open, or the last step could not close it.
    std::optional<runtime::SteadyTime> batch_due_at() const noexcept;

    // When lazy projections will have something to do; 0: not for now.
    runtime::SteadyTime due_at() const noexcept { return due_at_; }

private:
    bool waits_to_retry() const noexcept { return pass_retry_.has_value() || !retries_.empty(); }
    projection::Pass make_pass(Step& step);
    void has_failed(const std::exception_ptr& failure, Step& step);
    void take_note_of(const projection::Pass& pass, runtime::SteadyTime now, Step& step);
    static void record(const projection::ProjectionFailure& failure, Step& step);
    void follow_open_batch(const projection::Pass& pass);
    void notify(Step& step);

    projection::Applier applier_;
    std::map<std::string, Retry, std::less<>> retries_;  // of consumers that failed last
    std::optional<Retry> pass_retry_;                    // the last pass failed as a whole
    std::vector<std::string> unsent_payloads_;           // in the order of their batches; after a failure only the newest
    bool is_busy_ = true;                                // the next step is worth its own wait for the disk
    runtime::SteadyTime due_at_ = 0;
    bool is_tried_ = false;               // the last step was to close the batch
    runtime::SteadyTime open_since_ = 0;  // when the first step left the batch open; 0: it is closed
    runtime::SteadyTime closed_at_ = 0;   // when a batch was closed last
};

}  // namespace worker
