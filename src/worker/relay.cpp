// The role of the relay: it sends events to NATS JetStream, and the statistics of devices to Redis.
//
// A turn looks into the tables, in short transactions, and gives the sinks what comes next. Between two turns libuv serves the
// sinks, and no transaction is open.
#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "postgres/entry_point.hpp"
#include "postgres/event_loop.hpp"
#include "postgres/text.hpp"
#include "relay/nats_sink.hpp"
#include "relay/redis_sink.hpp"
#include "runtime/relay_report.hpp"
#include "runtime/settings.hpp"
#include "worker/database_worker.hpp"
#include "worker/device_source.hpp"
#include "worker/event_source.hpp"
#include "worker/machine_totals.hpp"
#include "worker/relay_channel.hpp"

#include "postgres/pg.hpp"

namespace worker {
namespace {

constexpr runtime::SteadyTime kMillisecond = 1000;
constexpr runtime::SteadyTime kBetweenLooksAtMachine = 100 * kMillisecond;
constexpr const char* kUrlHint = "The manual's page on the relay has the form of the URLs.";

class Relay : public Work {
public:
    void begin_turn() override {}
    WorkDone do_some() override;
    void rest(DatabaseWorker& worker) override;

private:
    void follow_settings();
    void look_at_machine();
    void refuse(runtime::RelaySink sink, const char* setting, const std::string& reason, const char* hint);

    postgres::EventLoop loop_;
    std::string settings_;  // those from which the channels were made
    std::vector<std::unique_ptr<RelayChannel>> channels_;
    relay::Pace pace_;
    runtime::SteadyTime look_at_machine_at_ = 0;
    std::optional<postgres::ErrorReport> flaw_;  // of the settings
};

std::string texts_of_settings() {
    const runtime::Settings& current = runtime::settings();
    return std::string(current.nats_url) + '\n' + current.nats_stream + '\n' + current.redis_url + '\n' +
           current.relay_ca_file + '\n' + std::to_string(current.nats_window) + '\n' + std::to_string(current.redis_expiry);
}

// relay_status shows the reason, and the log has it.
void Relay::refuse(runtime::RelaySink sink, const char* setting, const std::string& reason, const char* hint) {
    flaw_ = postgres::ErrorReport{
        ERRCODE_INVALID_PARAMETER_VALUE, std::string("telemetry_cqrs.") + setting + ": " + reason, {}, hint, {}};
    runtime::SinkReport report{};
    report.error.at = GetCurrentTimestamp();
    postgres::copy_cut(report.error.text, flaw_->message.c_str());
    postgres::copy_cut(report.phase, "settings");
    runtime::report_sink(sink, report);
}

// Makes the channels anew when a setting has changed.
void Relay::follow_settings() {
    std::string current = texts_of_settings();
    if (current == settings_) return;
    settings_ = std::move(current);
    channels_.clear();
    flaw_.reset();
    const runtime::Settings& settings = runtime::settings();
    if (runtime::is_set(settings.nats_url)) {
        auto urls = relay::parse_nats_urls(settings.nats_url);
        if (const auto* flaw = std::get_if<relay::PeerUrlFlaw>(&urls)) {
            refuse(runtime::RelaySink::kNats, "nats_url", flaw->text, kUrlHint);
        } else if (!relay::is_stream_name(settings.nats_stream)) {
            refuse(runtime::RelaySink::kNats, "nats_stream", "the text is no name of a stream",
                   "A name has no space, dot, asterisk, greater-than sign or slash.");
        } else {
            channels_.push_back(std::make_unique<RelayChannel>(
                runtime::RelaySink::kNats,
                std::make_unique<relay::NatsSink>(
                    loop_, relay::NatsSinkOptions{.servers = std::get<0>(std::move(urls)),
                                                  .stream = settings.nats_stream,
                                                  .window = static_cast<std::size_t>(settings.nats_window),
                                                  .authorities = settings.relay_ca_file}),
                std::make_unique<EventSource>()));
        }
    }
    if (runtime::is_set(settings.redis_url)) {
        auto url = relay::parse_redis_url(settings.redis_url);
        if (const auto* flaw = std::get_if<relay::PeerUrlFlaw>(&url)) {
            refuse(runtime::RelaySink::kRedis, "redis_url", flaw->text, kUrlHint);
        } else {
            const std::string mark =
                "telemetry_cqrs:mark:" + std::to_string(GetSystemIdentifier()) + ':' + std::to_string(MyDatabaseId);
            channels_.push_back(std::make_unique<RelayChannel>(
                runtime::RelaySink::kRedis,
                std::make_unique<relay::RedisSink>(loop_, relay::RedisSinkOptions{.server = std::get<0>(std::move(url)),
                                                                                  .expiry = settings.redis_expiry,
                                                                                  .channel = "device:stats",
                                                                                  .mark = mark,
                                                                                  .authorities = settings.relay_ca_file}),
                std::make_unique<DeviceSource>(mark)));
        }
    }
}

// At most ten times a second.
void Relay::look_at_machine() {
    const runtime::SteadyTime now = runtime::steady_time();
    if (now < look_at_machine_at_) return;
    look_at_machine_at_ = now + kBetweenLooksAtMachine;
    pace_.look(machine_totals());
    if (pace_.is_peak()) return;
    for (const auto& channel : channels_) channel->end_peak();
}

WorkDone Relay::do_some() {
    postgres::guarded([] { pgstat_report_activity(STATE_RUNNING, "sending"); });
    follow_settings();
    look_at_machine();
    WorkDone done;
    for (const auto& channel : channels_) {
        channel->look(pace_);
        done.is_absent |= channel->is_absent();
    }
    done.failure = flaw_;
    return done;
}

// Serves the sinks until there is something to look up in the tables: room for events that there may be, or a place to store.
// The next turn begins by resetting the latch, so from now on whatever set it is news.
void Relay::rest(DatabaseWorker& worker) {
    using WaitEnd = postgres::EventLoop::WaitEnd;
    worker.report_idle();
    // What arrived while the worker looked or backed off comes before the question who is silent.
    (void)loop_.wait(0);
    const runtime::SteadyTime poll_at = runtime::steady_time() + runtime::settings().poll_interval * kMillisecond;
    bool is_over = false;
    while (!is_over) {
        const runtime::SteadyTime now = runtime::steady_time();
        if (now >= poll_at) break;
        runtime::SteadyTime due_at = poll_at;
        for (const auto& channel : channels_) {
            channel->serve(now);
            is_over |= channel->wants_look(now);
            due_at = std::min(due_at, channel->due_at());
        }
        if (is_over) break;
        const WaitEnd end =
            worker.wait_in(loop_, std::max<long>(1, static_cast<long>((due_at - now + kMillisecond - 1) / kMillisecond)));
        is_over = end == WaitEnd::kLatchSet;
    }
    for (const auto& channel : channels_) channel->tell_news();
}

}  // namespace
}  // namespace worker

extern "C" PGDLLEXPORT void telemetry_relay_main(Datum argument) {
    postgres::entry_point([argument] {
        worker::serve_database(runtime::Role::kRelay, argument,
                               []() -> std::unique_ptr<worker::Work> { return std::make_unique<worker::Relay>(); });
    });
}
