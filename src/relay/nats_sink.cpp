// Drives a connection by time. What the server says comes in callbacks, and what is due is done in `step`.
#include "relay/nats_sink.hpp"

#include <algorithm>
#include <utility>
#include <variant>

#include "relay/retry_time.hpp"

namespace relay {
namespace {

using runtime::SteadyTime;

constexpr SteadyTime kSecond = 1'000'000;
constexpr SteadyTime kLongestAnswer = 5 * kSecond;  // of a server that is asked something, or owes an acknowledgement
constexpr SteadyTime kFirstRetry = 100'000;
constexpr SteadyTime kLongestRetry = 10 * kSecond;
constexpr SteadyTime kQuiet = 20 * kSecond;  // then the server is asked whether it is there

constexpr std::size_t kMostBytes = 8 << 20;                  // of messages that are held
constexpr std::size_t kMostUnsentBytes = 256 << 10;          // that the socket has not taken
constexpr std::size_t kMessagesInWrite = 128;                // the server works on them while more are put together
constexpr std::uint64_t kRequests = std::uint64_t{1} << 63;  // numbers from here on are no messages
constexpr std::uint64_t kAskForStream = kRequests + 1;
constexpr std::uint64_t kMakeStream = kRequests + 2;

std::string words_of(const JetStreamError& error) {
    return error.description + " (" + std::to_string(error.err_code != 0 ? error.err_code : error.code) + ")";
}

}  // namespace

NatsSink::NatsSink(postgres::EventLoop& loop, NatsSinkOptions options)
    : loop_(loop), options_(std::move(options)), connection_(loop, *this), backoff_(kFirstRetry, kLongestRetry) {}

// Half a window is on the way while the next half is read.
bool NatsSink::has_room() const {
    return has_stream_ && outbox_.unsent() < half_window() && outbox_.bytes() < kMostBytes;
}

void NatsSink::connect(SteadyTime now) {
    const PeerUrl& url = options_.servers[next_server_++ % options_.servers.size()];
    status_.state = SinkState::kConnecting;
    status_.server = without_secrets(url);
    progress_at_ = heard_at_ = now;
    heard_ = connection_.heard();
    has_pinged_ = false;
    connection_.open(url, options_.authorities);
}

void NatsSink::rest() {
    forget();
    connection_.close();
    has_stream_ = false;
    retry_at_ = 0;
    status_.state = SinkState::kConnecting;
}

void NatsSink::ready() {
    progress_at_ = runtime::steady_time();
    connection_.request(stream_info_subject(options_.stream), {}, kAskForStream);
}

void NatsSink::replied(std::uint64_t number, int status, std::string_view payload) {
    if (number >= kRequests)
        take_stream_reply(number, status, payload);
    else
        take_acknowledgement(number, status, payload);
}

void NatsSink::take_stream_reply(std::uint64_t request, int status, std::string_view payload) {
    if (has_stream_) return;
    if (status != 0) return give_up(Phase::kStream, "the server has no JetStream, or the role may not use it");
    const auto reply = parse_stream_reply(payload);
    if (const auto* flaw = std::get_if<JsonFlaw>(&reply)) return give_up(Phase::kStream, "the server's reply: " + flaw->text);
    if (const auto* error = std::get_if<JetStreamError>(&reply)) {
        if (request != kAskForStream || error->err_code != kStreamNotFound)
            return give_up(Phase::kStream, "stream " + options_.stream + ": " + words_of(*error));
        progress_at_ = runtime::steady_time();
        return connection_.request(stream_create_subject(options_.stream),
                                   stream_create_request({.name = options_.stream, .subjects = {"telemetry.>"}}), kMakeStream);
    }
    check_stream(std::get<StreamInfo>(reply));
    has_stream_ = true;
    up_at_ = runtime::steady_time();
    status_.state = SinkState::kConnected;
    status_.failure.reset();
    loop_.end_wait();
}

void NatsSink::check_stream(const StreamInfo& info) {
    using std::chrono::duration_cast, std::chrono::microseconds, std::chrono::seconds;
    duplicate_window_ = duration_cast<microseconds>(info.config.duplicate_window).count();
    status_.note = "stream " + info.config.name + ": duplicate window " +
                   std::to_string(duration_cast<seconds>(info.config.duplicate_window).count()) + " s, " +
                   std::to_string(info.config.num_replicas) + (info.config.num_replicas == 1 ? " replica" : " replicas");
    if (info.config.storage == StreamStorage::kMemory) status_.note += ", in memory: a restart of NATS loses its messages";
}

void NatsSink::take_acknowledgement(std::uint64_t number, int status, std::string_view payload) {
    if (status != 0) return give_up(Phase::kPublish, "no stream takes the subject, or the role may not publish there");
    const auto ack = parse_publish_ack(payload);
    if (const auto* flaw = std::get_if<JsonFlaw>(&ack))
        return give_up(Phase::kAcknowledge, "the server's reply: " + flaw->text);
    if (const auto* error = std::get_if<JetStreamError>(&ack)) return give_up(Phase::kPublish, words_of(*error));
    // Another stream took the message, as after ours was deleted: its readers do not find the message in ours.
    if (const std::string& taker = std::get<PublishAck>(ack).stream; taker != options_.stream)
        return give_up(Phase::kPublish, "stream " + taker + " took the message");
    if (!outbox_.acknowledge(number)) return;
    ++status_.acknowledged;
    backoff_.succeeded();
    if (std::get<PublishAck>(ack).is_duplicate) ++status_.duplicates;
    progress_at_ = runtime::steady_time();
    if (outbox_.in_flight() == 0) sent_unknown_at_ = 0;
    if (outbox_.unsent() == 0 ? outbox_.in_flight() <= half_window() : outbox_.in_flight() < half_window()) loop_.end_wait();
}

void NatsSink::publish_some() {
    const SteadyTime now = runtime::steady_time();
    std::size_t gathered = 0;
    while (has_stream_ && outbox_.in_flight() < options_.window && connection_.unsent() < kMostUnsentBytes) {
        const auto next = outbox_.take();
        if (!next) break;
        if (outbox_.in_flight() == 1) progress_at_ = now;
        if (next->was_sent && sent_unknown_at_ != 0 && now - sent_unknown_at_ > duplicate_window_) ++status_.late_repeats;
        connection_.publish(next->message.subject, next->message.id, next->message.payload, next->number);
        ++status_.sent;
        if (++gathered % kMessagesInWrite == 0) connection_.flush();  // may end the connection
    }
    connection_.flush();
}

void NatsSink::give_up(Phase phase, const std::string& reason) {
    connection_.close();
    failed(phase, reason);
}

void NatsSink::failed(Phase phase, const std::string& reason) {
    const SteadyTime now = runtime::steady_time();
    if (outbox_.in_flight() > 0 && sent_unknown_at_ == 0) sent_unknown_at_ = progress_at_;
    outbox_.send_again();
    if (has_stream_ && now - up_at_ >= kLongestRetry) backoff_.succeeded();
    // A role that may not use the stream is refused by the words for any subject.
    if (phase == Phase::kPublish && !has_stream_) phase = Phase::kStream;
    has_stream_ = false;
    retry_at_ = now + with_chance(backoff_.failed());
    ++status_.failures;
    status_.state = SinkState::kBackingOff;
    status_.failure = SinkFailure{word_of(phase), reason};
    loop_.end_wait();
}

void NatsSink::give_up_if_silent(SteadyTime now) {
    if (connection_.heard() != heard_) {
        heard_ = connection_.heard();
        heard_at_ = now;
        has_pinged_ = false;
    }
    const bool is_opening = !has_stream_;
    if (is_opening && now - progress_at_ >= kLongestAnswer)
        return give_up(connection_.state() == NatsConnection::State::kReady ? Phase::kStream : connection_.phase(),
                       "the server does not answer");
    if (outbox_.in_flight() > 0 && now - progress_at_ >= kLongestAnswer)
        return give_up(Phase::kAcknowledge, "the server acknowledges nothing");
    if (is_opening || now - heard_at_ < kQuiet) return;
    if (has_pinged_ && now - heard_at_ >= kQuiet + kLongestAnswer) return give_up(Phase::kRead, "the server does not answer");
    if (!has_pinged_) connection_.ping();
    has_pinged_ = true;
}

void NatsSink::step(SteadyTime now) {
    if (connection_.state() == NatsConnection::State::kClosed) {
        if (now >= retry_at_) connect(now);
        return;
    }
    give_up_if_silent(now);
    if (has_stream_) publish_some();
}

SteadyTime NatsSink::due_at() const {
    if (connection_.state() == NatsConnection::State::kClosed) return retry_at_;
    if (!has_stream_ || outbox_.in_flight() > 0) return progress_at_ + kLongestAnswer;
    return heard_at_ + kQuiet + (has_pinged_ ? kLongestAnswer : 0);
}

}  // namespace relay
