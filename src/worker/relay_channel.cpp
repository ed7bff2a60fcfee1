// Renders events into chunks, and keeps the places at which the chunks end.
#include "worker/relay_channel.hpp"

#include <algorithm>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

#include "postgres/text.hpp"
#include "runtime/processor_time.hpp"
#include "runtime/relay_report.hpp"

#include "postgres/pg.hpp"

namespace worker {

using runtime::SteadyTime;

namespace {

constexpr SteadyTime kStoreInterval = 200 * 1000;  // a crash in between causes repeats, which the server knows
constexpr SteadyTime kReportInterval = 500 * 1000;
// Where events may gather, the channel reads again after this many times the processor time of the last read. So a small read
// is repeated soon, and a stream of many events costs a tenth of a processor.
constexpr SteadyTime kRestPerWork = 9;
constexpr SteadyTime kLongestRest = 1000 * 1000;
constexpr SteadyTime kLongestPeakRest = 5 * kLongestRest;
constexpr SteadyTime kNever = std::numeric_limits<SteadyTime>::max();

runtime::SinkCondition condition_of(relay::SinkState state) {
    switch (state) {
        case relay::SinkState::kConnecting:
            return runtime::SinkCondition::kConnecting;
        case relay::SinkState::kConnected:
            return runtime::SinkCondition::kConnected;
        case relay::SinkState::kBackingOff:
            break;
    }
    return runtime::SinkCondition::kBackingOff;
}

// A server may say any bytes, and the slot takes text of any database.
std::string printable(std::string_view text) {
    std::string shown(text);
    std::replace_if(
        shown.begin(), shown.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
    return shown;
}

}  // namespace

RelayChannel::RelayChannel(runtime::RelaySink name, std::unique_ptr<relay::Sink> sink, std::unique_ptr<RelaySource> source)
    : name_(name), sink_(std::move(sink)), source_(std::move(source)), cursor_(name) {}

RelayChannel::~RelayChannel() {
    runtime::report_sink(name_, {});
}

void RelayChannel::take_finished() {
    const auto ticket = sink_->take_finished();
    if (!ticket) return;
    while (!chunks_.empty() && chunks_.front().ticket <= *ticket) {
        arrived_ = chunks_.front().end;
        chunks_.pop_front();
    }
    source_->has_arrived(*ticket);
}

// Begins again at the stored place.
void RelayChannel::start_over() {
    sink_->forget();
    chunks_.clear();
    arrived_.reset();
    source_->has_failed();
    may_have_events_ = true;
}

void RelayChannel::look(relay::Pace& pace) {
    try {
        look_and_read(pace);
    } catch (...) {
        cursor_.forget();
        start_over();
        throw;
    }
}

void RelayChannel::look_and_read(relay::Pace& pace) {
    take_finished();
    const std::uint64_t ticket = next_ticket_++;
    relay::Chunk chunk(ticket);
    source_->begin(chunk);
    const bool reads = wants_to_read(runtime::steady_time());
    const SteadyTime used_before = runtime::processor_time();
    const RelayLook look = cursor_.look(arrived_, reads ? source_.get() : nullptr);
    if (look.has_jumped || look.place == arrived_) arrived_.reset();  // otherwise it is to be stored yet
    const SteadyTime now = runtime::steady_time();
    store_at_ = now + kStoreInterval;
    if (look.has_read || chunk.size() > 0) {
        const SteadyTime work = runtime::processor_time() - used_before;
        if (source_->is_eager()) pace.has_read(static_cast<std::int64_t>(chunk.size()), work);  // a message is an event
        set_rest(now, work, look.has_more, pace);
    }
    standing_ = look.standing;
    if ((look.has_jumped && !chunks_.empty()) || !may_send()) start_over();
    if (!may_send()) {
        cursor_.forget();
        sink_->rest();
        return;
    }
    if (!source_->has_more()) sink_->expect_mark(look.place.batch.value);
    if (reads) may_have_events_ = look.has_more;
    if (!look.has_read && chunk.size() == 0) return;
    chunks_.push_back({ticket, look.end});
    sink_->take(std::move(chunk));
}

void RelayChannel::set_rest(SteadyTime now, SteadyTime work, bool has_more, const relay::Pace& pace) {
    read_at_after_peak_ = now + (source_->may_gather() && !has_more ? std::min(kRestPerWork * work, kLongestRest) : 0);
    read_at_ = std::max(read_at_after_peak_, now + std::min(pace.rest_after(work), kLongestPeakRest));
}

bool RelayChannel::may_read() const {
    return (may_have_events_ || source_->has_more()) && sink_->has_room();
}

bool RelayChannel::wants_to_read(SteadyTime now) const {
    return may_read() && now >= read_at_;
}

bool RelayChannel::wants_look(SteadyTime now) const {
    return (arrived_ && now >= store_at_) || (may_send() && wants_to_read(now));
}

void RelayChannel::serve(SteadyTime now) {
    if (sink_->take_lost()) {
        // The channel drops what it read before the loss, because a mark from then would hide the loss from the next start.
        cursor_.forget();
        start_over();
        source_->begin_anew();
    }
    if (may_send()) sink_->step(now);
    take_finished();
    report();
}

SteadyTime RelayChannel::due_at() const {
    SteadyTime due_at = may_send() ? sink_->due_at() : kNever;
    if (arrived_) due_at = std::min(due_at, store_at_);
    if (may_send() && may_read()) due_at = std::min(due_at, read_at_);
    if (sink_->status().acknowledged != reported_acknowledged_) due_at = std::min(due_at, report_at_);
    return due_at;
}

// The slot gets the figures twice a second, and a change of state at once.
void RelayChannel::report() {
    const relay::SinkStatus& status = sink_->status();
    const runtime::SinkCondition condition = may_send() ? condition_of(status.state) : runtime::SinkCondition::kResting;
    const SteadyTime now = runtime::steady_time();
    const bool has_changed = condition != reported_ || status.failures != reported_failures_;
    if (!has_changed && now < report_at_) return;
    report_at_ = now + kReportInterval;
    runtime::SinkReport report = runtime::sink_report(name_);
    if (status.failures != reported_failures_ && status.failure) {
        report.error.at = GetCurrentTimestamp();
        postgres::copy_cut(report.error.text, printable(status.failure->reason).c_str());
        postgres::copy_cut(report.phase, status.failure->phase.c_str());
    }
    reported_ = report.condition = condition;
    reported_failures_ = status.failures;
    postgres::copy_cut(report.server, status.server.c_str());
    postgres::copy_cut(report.note, printable(status.note).c_str());
    report.sent = status.sent;
    report.acknowledged = reported_acknowledged_ = status.acknowledged;
    report.duplicates = status.duplicates;
    report.failures = status.failures;
    report.late_repeats = status.late_repeats;
    report.pending = sink_->pending();
    runtime::report_sink(name_, report);
}

}  // namespace worker
