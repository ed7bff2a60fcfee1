// Puts several messages into one call of a script, so that the server compares and sets without a round trip for each.
#include "relay/redis_sink.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "relay/retry_time.hpp"

namespace relay {
namespace {

using runtime::SteadyTime;

constexpr SteadyTime kSecond = 1'000'000;
constexpr SteadyTime kLongestAnswer = 5 * kSecond;
constexpr SteadyTime kQuiet = 20 * kSecond;
constexpr SteadyTime kFirstRetry = 100'000;
constexpr SteadyTime kLongestRetry = 10 * kSecond;

constexpr std::size_t kMessagesInCall = 64;
constexpr std::size_t kMostInFlight = 4096;  // messages
constexpr std::size_t kMostBytes = 8 << 20;
constexpr std::size_t kMostUnsentBytes = 256 << 10;

// KEYS: the keys. ARGV: expiry in seconds, channel, then version and value for each key. Returns how many were set.
// It does not look at what is there if the version is kHighestVersion, because that look takes a quarter of its time.
static_assert(kHighestVersion == 9007199254740991);
constexpr std::string_view kScript =
    "local set = 0\n"
    "for i, key in ipairs(KEYS) do\n"
    "  local version, value, known = tonumber(ARGV[2 * i + 1]), ARGV[2 * i + 2], nil\n"
    "  if version < 9007199254740991 then\n"
    "    local found = redis.pcall('GETRANGE', key, 0, 31)\n"
    "    if type(found) == 'table' then return redis.error_reply(found.err .. ' (key ' .. key .. ')') end\n"
    "    known = string.match(found, '^{\"version\":(%d+)')\n"
    "  end\n"
    "  if not known or tonumber(known) <= version then\n"
    "    if ARGV[1] == '0' then redis.call('SET', key, value) else redis.call('SET', key, value, 'EX', ARGV[1]) end\n"
    "    redis.call('PUBLISH', ARGV[2], value)\n"
    "    set = set + 1\n"
    "  end\n"
    "end\n"
    "return set\n";

std::int64_t number_in(std::string_view text) {
    std::int64_t number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
}

}  // namespace

RedisSink::RedisSink(postgres::EventLoop& loop, RedisSinkOptions options)
    : loop_(loop),
      options_(std::move(options)),
      connection_(loop, *this),
      backoff_(kFirstRetry, kLongestRetry),
      expiry_(std::to_string(options_.expiry)) {
    status_.server = without_secrets(options_.server);
}

bool RedisSink::has_room() const {
    return is_up_ && outbox_.unsent() < kMostInFlight / 2 && outbox_.bytes() < kMostBytes;
}

void RedisSink::rest() {
    forget();
    connection_.close();
    commands_.clear();
    is_up_ = false;
    retry_at_ = 0;
    status_.state = SinkState::kConnecting;
}

void RedisSink::expect_mark(std::int64_t mark) {
    mark_ = std::max(mark_, mark);
}

bool RedisSink::take_lost() {
    return std::exchange(has_lost_, false);
}

void RedisSink::ready() {
    progress_at_ = runtime::steady_time();
    commands_.clear();
    connection_.send({"SCRIPT", "LOAD", kScript});
    commands_.push_back({Expected::kScript, {}});
    connection_.send({"GET", options_.mark});
    commands_.push_back({Expected::kMark, {}});
    connection_.flush();
}

void RedisSink::replied(const RedisReply& reply) {
    progress_at_ = runtime::steady_time();
    if (commands_.empty()) return give_up(Phase::kRead, "the server replies to nothing");
    switch (commands_.front().expected) {
        case Expected::kScript:
            take_script(reply);
            break;
        case Expected::kMark:
            take_mark(reply);
            break;
        case Expected::kStored:
            take_stored(reply);
            break;
    }
    if (!commands_.empty() && connection_.state() == RedisConnection::State::kReady) commands_.pop_front();
}

void RedisSink::take_script(const RedisReply& reply) {
    if (reply.kind != RedisReply::Kind::kText) return give_up(Phase::kHandshake, "SCRIPT LOAD: " + std::string(reply.text));
    script_ = reply.text;
}

void RedisSink::take_mark(const RedisReply& reply) {
    if (is_up_) return;  // the reply to a ping
    if (reply.kind != RedisReply::Kind::kText && reply.kind != RedisReply::Kind::kNone)
        return give_up(Phase::kHandshake, "GET " + options_.mark + ": " + std::string(reply.text));
    if (number_in(reply.text) < mark_) {
        has_lost_ = true;
        status_.note = reply.kind == RedisReply::Kind::kNone ? "the server had no values, and all of them are sent"
                                                             : "the server had lost values, and all of them are sent again";
    }
    is_up_ = true;
    up_at_ = runtime::steady_time();
    status_.state = SinkState::kConnected;
    status_.failure.reset();
    loop_.end_wait();
}

void RedisSink::take_stored(const RedisReply& reply) {
    if (reply.kind == RedisReply::Kind::kError) return give_up(Phase::kPublish, std::string(reply.text));
    backoff_.succeeded();
    const Command& command = commands_.front();
    if (command.mark != 0) mark_ = command.mark;
    if (reply.kind == RedisReply::Kind::kInteger)
        status_.duplicates +=
            command.numbers.size() - static_cast<std::uint64_t>(std::clamp<std::int64_t>(
                                         reply.integer, 0, static_cast<std::int64_t>(command.numbers.size())));
    for (const std::uint64_t number : command.numbers)
        if (outbox_.acknowledge(number) && command.mark == 0) ++status_.acknowledged;
    if (outbox_.in_flight() <= kMostInFlight / 2) loop_.end_wait();
}

void RedisSink::send_some() {
    const bool was_idle = outbox_.in_flight() == 0;
    std::vector<std::string_view> words;
    while (is_up_ && outbox_.in_flight() < kMostInFlight && connection_.unsent() < kMostUnsentBytes) {
        Command command{Expected::kStored, {}};
        std::vector<OutgoingMessage> messages;
        while (messages.size() < kMessagesInCall) {
            const auto next = outbox_.take();
            if (!next) break;
            command.numbers.push_back(next->number);
            messages.push_back(next->message);
            if (!next->message.id.empty()) continue;
            break;  // a mark goes by itself
        }
        if (messages.empty()) break;
        std::optional<OutgoingMessage> mark;
        if (messages.back().id.empty()) {
            mark = messages.back();
            messages.pop_back();
        }
        if (!messages.empty()) {
            const std::string count = std::to_string(messages.size());
            words = {"EVALSHA", script_, count};
            for (const OutgoingMessage& each : messages) words.push_back(each.subject);
            words.insert(words.end(), {expiry_, options_.channel});
            for (const OutgoingMessage& each : messages) words.insert(words.end(), {each.id, each.payload});
            connection_.send(words);
            status_.sent += messages.size();
            Command stored{Expected::kStored, {}};
            stored.numbers.assign(command.numbers.begin(),
                                  command.numbers.begin() + static_cast<std::ptrdiff_t>(messages.size()));
            commands_.push_back(std::move(stored));
        }
        if (mark) {
            connection_.send({"SET", mark->subject, mark->payload});
            commands_.push_back({Expected::kStored, {command.numbers.back()}, number_in(mark->payload)});
        }
        connection_.flush();  // the server works on them while more are put together; it may end the connection
    }
    if (was_idle && outbox_.in_flight() > 0) progress_at_ = runtime::steady_time();
}

void RedisSink::give_up(Phase phase, const std::string& reason) {
    connection_.close();
    failed(phase, reason);
}

void RedisSink::failed(Phase phase, const std::string& reason) {
    const SteadyTime now = runtime::steady_time();
    if (is_up_ && now - up_at_ >= kLongestRetry) backoff_.succeeded();
    commands_.clear();
    outbox_.send_again();
    is_up_ = false;
    retry_at_ = now + with_chance(backoff_.failed());
    ++status_.failures;
    status_.state = SinkState::kBackingOff;
    status_.failure = SinkFailure{word_of(phase), reason};
    loop_.end_wait();
}

void RedisSink::step(SteadyTime now) {
    if (connection_.state() == RedisConnection::State::kClosed) {
        if (now < retry_at_) return;
        status_.state = SinkState::kConnecting;
        progress_at_ = now;
        connection_.open(options_.server, options_.authorities);
        return;
    }
    const bool owes_answer = !is_up_ || !commands_.empty();
    if (owes_answer && now - progress_at_ >= kLongestAnswer) {
        const bool is_ready = connection_.state() == RedisConnection::State::kReady;
        return give_up(is_ready ? (is_up_ ? Phase::kAcknowledge : Phase::kHandshake) : connection_.phase(),
                       "the server does not answer");
    }
    if (!is_up_) return;
    send_some();
    if (commands_.empty() && now - progress_at_ >= kQuiet) {
        progress_at_ = now;
        connection_.send({"PING"});
        connection_.flush();
        commands_.push_back({Expected::kMark, {}});
    }
}

SteadyTime RedisSink::due_at() const {
    if (connection_.state() == RedisConnection::State::kClosed) return retry_at_;
    return progress_at_ + (!is_up_ || !commands_.empty() ? kLongestAnswer : kQuiet);
}

}  // namespace relay
