// A channel of the relay: a sink, what it is given, and its cursor in the log.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>

#include "relay/pace.hpp"
#include "relay/sink.hpp"
#include "runtime/shared_state.hpp"
#include "runtime/steady_time.hpp"
#include "worker/relay_cursor.hpp"
#include "worker/relay_source.hpp"

namespace worker {

class RelayChannel {
public:
    RelayChannel(runtime::RelaySink name, std::unique_ptr<relay::Sink> sink, std::unique_ptr<RelaySource> source);
    RelayChannel(const RelayChannel&) = delete;
    RelayChannel& operator=(const RelayChannel&) = delete;
    ~RelayChannel();

    // There may be events that it has not read.
    void tell_news() noexcept { may_have_events_ = true; }

    // Looks into the tables, in a transaction: stores how far the sink has come, and reads events if there may be some and the
    // sink has room for them.
    void look(relay::Pace& pace);

    // Lets the sink work. No transaction is open.
    void serve(runtime::SteadyTime now);

    // The peak of readings is over, and so is the rest that it caused.
    void end_peak() noexcept { read_at_ = std::min(read_at_, read_at_after_peak_); }

    bool is_absent() const noexcept { return standing_ == RelayStanding::kAbsent; }
    // Is there something to look up or to store?
    bool wants_look(runtime::SteadyTime now) const;
    runtime::SteadyTime due_at() const;

private:
    struct ReadChunk {
        std::uint64_t ticket;
        subscription::Place end;
    };

    bool may_send() const noexcept { return standing_ == RelayStanding::kMaySend; }
    void look_and_read(relay::Pace& pace);
    void set_rest(runtime::SteadyTime now, runtime::SteadyTime work, bool has_more, const relay::Pace& pace);
    void start_over();
    bool may_read() const;
    bool wants_to_read(runtime::SteadyTime now) const;
    void take_finished();
    void report();

    runtime::RelaySink name_;
    std::unique_ptr<relay::Sink> sink_;
    std::unique_ptr<RelaySource> source_;
    RelayCursor cursor_;
    RelayStanding standing_ = RelayStanding::kPaused;
    bool may_have_events_ = true;
    std::uint64_t next_ticket_ = 1;
    std::deque<ReadChunk> chunks_;                // that the sink has
    std::optional<subscription::Place> arrived_;  // the sink has everything up to there, and it is not stored yet
    runtime::SteadyTime store_at_ = 0;            // not before
    runtime::SteadyTime read_at_ = 0;             // new events, not before
    runtime::SteadyTime read_at_after_peak_ = 0;  // the same, where no peak is to be waited for
    runtime::SteadyTime report_at_ = 0;
    runtime::SinkCondition reported_ = runtime::SinkCondition::kStopped;
    std::uint64_t reported_failures_ = 0;
    std::uint64_t reported_acknowledged_ = 0;
};

}  // namespace worker
