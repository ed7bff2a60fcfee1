// Sends the login in one go, and counts its replies.
#include "relay/redis_connection.hpp"

#include <charconv>

#include <hiredis/hiredis.h>

namespace relay {
namespace {

constexpr std::size_t kMostOfReply = 1 << 20;  // bytes; no reply to our commands is so long

struct FreeReply {
    void operator()(redisReply* reply) const noexcept { freeReplyObject(reply); }
};

// No reply to our commands is an array, and hiredis would make room for as many elements as the server says.
redisReplyObjectFunctions* functions_without_arrays(const redisReader& reader) noexcept {
    static redisReplyObjectFunctions functions;
    functions = *reader.fn;
    functions.createArray = [](const redisReadTask*, auto) -> void* { return nullptr; };
    return &functions;
}

RedisReply reply_of(const redisReply& reply) {
    switch (reply.type) {
        case REDIS_REPLY_STRING:
        case REDIS_REPLY_STATUS:
            return {.kind = RedisReply::Kind::kText, .text = {reply.str, reply.len}};
        case REDIS_REPLY_ERROR:
            return {.kind = RedisReply::Kind::kError, .text = {reply.str, reply.len}};
        case REDIS_REPLY_INTEGER:
            return {.kind = RedisReply::Kind::kInteger, .text = {}, .integer = reply.integer};
        case REDIS_REPLY_NIL:
            return {.kind = RedisReply::Kind::kNone, .text = {}};
        default:
            return {};
    }
}

void append_length(std::string& bytes, char mark, std::size_t length) {
    char digits[20];
    bytes += mark;
    bytes.append(digits, std::to_chars(digits, digits + sizeof digits, length).ptr);
    bytes += "\r\n";
}

}  // namespace

void RedisConnection::FreeReader::operator()(redisReader* reader) const noexcept {
    redisReaderFree(reader);
}

RedisConnection::RedisConnection(postgres::EventLoop& loop, RedisUser& user) : user_(user), stream_(loop, *this) {}
RedisConnection::~RedisConnection() = default;

void RedisConnection::open(const PeerUrl& url, const std::string& authorities) {
    close();
    url_ = url;
    authorities_ = authorities;
    reader_.reset(redisReaderCreate());
    if (!reader_) throw std::bad_alloc();
    reader_->maxbuf = 64 * 1024;
    reader_->fn = functions_without_arrays(*reader_);
    since_reply_ = 0;
    state_ = State::kOpening;
    phase_ = Phase::kConnect;
    stream_.open(url.host, url.port);
}

void RedisConnection::close() noexcept {
    stream_.close();
    output_.clear();
    state_ = State::kClosed;
}

void RedisConnection::opened() {
    if (!url_.is_tls) return log_in();
    phase_ = Phase::kTls;
    stream_.secure(authorities_);
}

void RedisConnection::secured() {
    log_in();
}

void RedisConnection::log_in() {
    phase_ = Phase::kAuthentication;
    greetings_ = 1;
    if (!url_.password.empty()) {
        ++greetings_;
        if (url_.user.empty())
            send({"AUTH", url_.password});
        else
            send({"AUTH", url_.user, url_.password});
    }
    if (url_.database != 0) {
        ++greetings_;
        const std::string database = std::to_string(url_.database);
        send({"SELECT", database});
    }
    send({"PING"});
    flush();
}

void RedisConnection::failed(Phase phase, const std::string& reason) {
    const bool is_opening = state_ == State::kOpening;
    close();
    user_.failed(is_opening && phase == Phase::kRead ? phase_ : phase, reason);
}

void RedisConnection::give_up(Phase phase, const std::string& reason) {
    close();
    user_.failed(phase, reason);
}

void RedisConnection::received(std::string_view bytes) {
    since_reply_ += bytes.size();
    if (redisReaderFeed(reader_.get(), bytes.data(), bytes.size()) != REDIS_OK) return give_up(Phase::kRead, "out of memory");
    while (state_ != State::kClosed) {
        void* found = nullptr;
        if (redisReaderGetReply(reader_.get(), &found) != REDIS_OK)
            return give_up(state_ == State::kOpening ? Phase::kHandshake : Phase::kRead,
                           std::string("the server does not speak Redis: ") +
                               (reader_->err == REDIS_ERR_OOM ? "it sends an array" : reader_->errstr));
        if (found == nullptr) break;
        const std::unique_ptr<redisReply, FreeReply> reply(static_cast<redisReply*>(found));
        since_reply_ = reader_->len - reader_->pos;
        take(reply_of(*reply));
    }
    if (state_ != State::kClosed && since_reply_ > kMostOfReply) give_up(Phase::kRead, "a reply of the server is too long");
}

void RedisConnection::take(const RedisReply& reply) {
    if (state_ == State::kReady) return user_.replied(reply);
    if (reply.kind == RedisReply::Kind::kError) return give_up(Phase::kAuthentication, std::string(reply.text));
    if (--greetings_ > 0) return;
    state_ = State::kReady;
    user_.ready();
}

void RedisConnection::send(const std::vector<std::string_view>& words) {
    append_length(output_, '*', words.size());
    for (const std::string_view word : words) {
        append_length(output_, '$', word.size());
        output_ += word;
        output_ += "\r\n";
    }
}

void RedisConnection::flush() {
    if (output_.empty()) return;
    stream_.write(output_);
    output_.clear();
}

}  // namespace relay
