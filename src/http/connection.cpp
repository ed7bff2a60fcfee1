// Serves the callbacks of libuv. None of them calls the server.
#include "http/connection.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <new>
#include <utility>

#include "http/problem.hpp"

namespace http {
namespace {

using runtime::SteadyTime;

constexpr SteadyTime kSecond = 1000 * 1000;
constexpr SteadyTime kLongestIdleTime = 75 * kSecond;  // between two requests
constexpr SteadyTime kLongestClosing = 2 * kSecond;
constexpr SteadyTime kNever = INT64_MAX;

}  // namespace

Connection::Connection(postgres::EventLoop& loop, ConnectionOwner& owner) : loop_(loop), owner_(owner) {}

Connection* Connection::accept(postgres::EventLoop& loop, ConnectionOwner& owner, uv_stream_t* listener) {
    auto* self = new Connection(loop, owner);
    if (uv_tcp_init(loop.get(), &self->tcp_) != 0) {
        delete self;
        return nullptr;
    }
    self->tcp_.data = self;
    if (uv_accept(listener, self->stream()) != 0) {
        uv_close(reinterpret_cast<uv_handle_t*>(&self->tcp_),
                 [](uv_handle_t* handle) { delete static_cast<Connection*>(handle->data); });
        return nullptr;
    }
    uv_tcp_nodelay(&self->tcp_, 1);
    return self;
}

void Connection::begin_reading() {
    enter(State::kIdle);
    start_read();
}

void Connection::enter(State state) {
    state_ = state;
    const SteadyTime now = runtime::steady_time();
    switch (state) {
        case State::kIdle:
            deadline_ = now + (has_answered_ ? kLongestIdleTime : owner_.limits().timeout);
            break;
        case State::kReading:
        case State::kSending:
            deadline_ = now + owner_.limits().timeout;
            break;
        case State::kClosing:
            deadline_ = now + kLongestClosing;
            break;
        default:
            deadline_ = kNever;
            break;
    }
}

// Bytes of an answer or a stream that do not move are a deadline missed, too.
void Connection::look_at_deadline(SteadyTime now) {
    if (state_ == State::kSending || state_ == State::kStreaming) {
        const std::size_t unsent = uv_stream_get_write_queue_size(stream());
        if (unsent == 0) {
            if (state_ == State::kStreaming) deadline_ = kNever;
        } else if (unsent != unsent_at_look_ || deadline_ == kNever) {
            deadline_ = now + owner_.limits().timeout;
        }
        unsent_at_look_ = unsent;
    }
    if (now < deadline_) return;
    if (state_ == State::kReading) return refuse({408, "The request was not complete in time."});
    close();
}

void Connection::start_read() {
    if (is_reading_ || state_ == State::kGone) return;
    const int error = uv_read_start(
        stream(),
        [](uv_handle_t* handle, std::size_t, uv_buf_t* buffer) {
            *buffer = static_cast<Connection*>(handle->data)->owner_.read_buffer();
        },
        [](uv_stream_t* handle, ssize_t count, const uv_buf_t* buffer) {
            auto* self = static_cast<Connection*>(handle->data);
            self->loop_.callback([=] {
                if (count == 0) return;
                if (count < 0) return self->close();
                try {
                    self->has_read({buffer->base, static_cast<std::size_t>(count)});
                } catch (const std::bad_alloc&) {
                    self->close();
                }
            });
        });
    if (error != 0) return close();
    is_reading_ = true;
}

void Connection::stop_read() {
    if (is_reading_) uv_read_stop(stream());
    is_reading_ = false;
}

void Connection::has_read(std::string_view bytes) {
    if (state_ == State::kStreaming || state_ == State::kClosing) return;
    input_.append(bytes);
    parse();
}

void Connection::parse() {
    if (input_.empty()) return start_read();
    if (state_ == State::kIdle) enter(State::kReading);
    if (!parser_) parser_.emplace(owner_.limits().most_body_bytes);
    const std::size_t used = parser_->take(input_);
    count_body(used);
    input_.erase(0, used);
    if (input_.empty()) input_.shrink_to_fit();
    if (parser_->flaw()) return refuse(*parser_->flaw());
    if (owner_.body_bytes_together() > owner_.limits().most_body_bytes_together)
        return refuse({503, "The server has no memory for more requests now."});
    if (!parser_->is_complete()) {
        if (parser_->take_expectation()) send("HTTP/1.1 100 Continue\r\n\r\n");
        acknowledge();
        return start_read();
    }
    stop_read();
    Request request = parser_->request();
    parser_.reset();
    closes_after_answer_ = !request.keeps_alive;
    knows_chunks_ = request.knows_chunks;
    is_head_ = request.method == Method::kHead;
    enter(State::kAnswering);
    owner_.received(*this, std::move(request));
}

// A client that sends head and body apart may wait for the acknowledgement of the first, which the kernel would delay by 40 ms.
void Connection::acknowledge() noexcept {
    const int on = 1;
    uv_os_fd_t socket = -1;
    if (uv_fileno(reinterpret_cast<uv_handle_t*>(&tcp_), &socket) == 0)
        (void)setsockopt(socket, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
}

void Connection::refuse(const RequestFlaw& flaw) {
    stop_read();
    is_head_ = false;  // that of the request before
    state_ = State::kAnswering;
    answer(response_of({.status = flaw.status, .detail = flaw.text, .retry_after = flaw.status == 503 ? 1 : 0}), true);
}

void Connection::count_body(std::size_t bytes) {
    body_bytes_ += bytes;
    owner_.body_bytes_together() += bytes;
}

void Connection::forget_body() {
    owner_.body_bytes_together() -= body_bytes_;
    body_bytes_ = 0;
}

void Connection::answer(const Response& response, bool must_close) {
    if (state_ != State::kAnswering) return;
    forget_body();
    parser_.reset();
    closes_after_answer_ |= must_close;
    has_answered_ = true;
    enter(State::kSending);
    send(wire_form(response, {.keeps_alive = !closes_after_answer_, .is_head = is_head_}));
}

void Connection::begin_stream(const Response& head) {
    if (state_ != State::kAnswering) return;
    forget_body();
    has_answered_ = true;
    enter(State::kStreaming);
    start_read();  // so that the end of the connection is seen
    send(wire_form(head, {.keeps_alive = false, .is_stream = true, .has_chunks = knows_chunks_}));
}

void Connection::send_piece(std::string_view bytes) {
    if (state_ != State::kStreaming || bytes.empty()) return;
    if (!knows_chunks_) return send(std::string(bytes));
    std::string wire;
    append_chunk(wire, bytes);
    send(std::move(wire));
}

void Connection::end_stream() {
    if (state_ != State::kStreaming) return;
    closes_after_answer_ = true;
    enter(State::kSending);
    if (knows_chunks_) return send("0\r\n\r\n");
    if (!has_unsent()) all_sent();
}

void Connection::send(std::string bytes) {
    if (waiting_.empty())
        waiting_ = std::move(bytes);
    else
        waiting_ += bytes;
    if (sending_.empty()) flush();
}

// The connection asks for a callback only for bytes that the socket does not take at once.
void Connection::flush() {
    const uv_buf_t all = uv_buf_init(waiting_.data(), static_cast<unsigned>(waiting_.size()));
    const int taken = uv_try_write(stream(), &all, 1);
    if (taken < 0 && taken != UV_EAGAIN) return close();
    if (taken > 0 && static_cast<std::size_t>(taken) == waiting_.size()) {
        waiting_.clear();
        return all_sent();
    }
    if (taken > 0) waiting_.erase(0, static_cast<std::size_t>(taken));
    sending_ = std::exchange(waiting_, {});
    write_.data = this;
    const uv_buf_t rest = uv_buf_init(sending_.data(), static_cast<unsigned>(sending_.size()));
    const int error = uv_write(&write_, stream(), &rest, 1, [](uv_write_t* request, int status) {
        auto* self = static_cast<Connection*>(request->data);
        self->loop_.callback([=] { self->sent(status); });
    });
    if (error != 0) close();
}

void Connection::sent(int status) {
    if (state_ == State::kGone) return;
    if (status != 0) return close();
    sending_.clear();
    sending_.shrink_to_fit();
    if (waiting_.empty()) return all_sent();
    flush();
}

void Connection::all_sent() {
    waiting_.shrink_to_fit();
    if (state_ == State::kStreaming) return owner_.has_room(*this);
    if (state_ != State::kSending) return;
    if (closes_after_answer_) return begin_closing();
    enter(State::kIdle);
    parse();
}

void Connection::begin_closing() {
    enter(State::kClosing);
    input_.clear();
    input_.shrink_to_fit();
    shutdown_.data = this;
    if (uv_shutdown(&shutdown_, stream(), [](uv_shutdown_t*, int) {}) != 0) return close();
    start_read();
}

void Connection::close() noexcept {
    if (state_ == State::kGone) return;
    state_ = State::kGone;
    forget_body();
    is_reading_ = false;
    owner_.is_gone(*this);
    uv_close(reinterpret_cast<uv_handle_t*>(&tcp_), [](uv_handle_t* handle) { delete static_cast<Connection*>(handle->data); });
}

}  // namespace http
