// Keeps one write with libuv at a time, so that bytes gather while it is under way.
#include "relay/stream.hpp"

#include <array>
#include <exception>
#include <utility>

namespace relay {

const char* word_of(Phase phase) noexcept {
    switch (phase) {
        case Phase::kResolve:
            return "resolve";
        case Phase::kConnect:
            return "connect";
        case Phase::kTls:
            return "tls";
        case Phase::kHandshake:
            return "handshake";
        case Phase::kAuthentication:
            return "authentication";
        case Phase::kStream:
            return "stream";
        case Phase::kPublish:
            return "publish";
        case Phase::kAcknowledge:
            return "acknowledge";
        case Phase::kRead:
            return "read";
    }
    return "read";
}

// What libuv holds of a connection. It outlives the stream until libuv has closed the handle.
struct Stream::Socket {
    uv_tcp_t tcp{};
    uv_connect_t connect{};
    uv_write_t write{};
    Stream* stream = nullptr;  // null: the stream has closed it
    std::array<char, 64 * 1024> input{};
    std::string output;  // the bytes of the write under way, if the stream has closed the socket
};

Stream::Stream(postgres::EventLoop& loop, StreamUser& user) : loop_(loop), user_(user), resolver_(loop) {}

void Stream::open(const std::string& host, std::uint16_t port) {
    close();
    host_ = host;
    is_resolving_ = true;
    resolver_.resolve(host, port, [this](std::vector<Address> addresses, const std::string& reason) {
        is_resolving_ = false;
        if (addresses.empty()) return fail(Phase::kResolve, reason.empty() ? "the name has no address" : reason);
        addresses_.assign(addresses.rbegin(), addresses.rend());
        connect_next();
    });
}

void Stream::connect_next() {
    const Address address = addresses_.back();
    addresses_.pop_back();
    socket_ = new Socket;
    socket_->stream = this;
    socket_->tcp.data = socket_->connect.data = socket_->write.data = socket_;
    uv_tcp_init(loop_.get(), &socket_->tcp);
    uv_tcp_nodelay(&socket_->tcp, 1);
    const int error = uv_tcp_connect(&socket_->connect, &socket_->tcp, address.get(), [](uv_connect_t* request, int status) {
        Stream* self = static_cast<Socket*>(request->data)->stream;
        if (self != nullptr) self->loop_.callback([=] { self->connected(status); });
    });
    if (error != 0) connected(error);
}

void Stream::connected(int status) {
    if (status != 0) {
        last_reason_ = uv_strerror(status);
        std::vector<Address> others = std::move(addresses_);
        close();
        if (others.empty()) return user_.failed(Phase::kConnect, last_reason_);
        addresses_ = std::move(others);
        return connect_next();
    }
    uv_read_start(
        reinterpret_cast<uv_stream_t*>(&socket_->tcp),
        [](uv_handle_t* handle, std::size_t, uv_buf_t* buffer) {
            auto* socket = static_cast<Socket*>(handle->data);
            *buffer = uv_buf_init(socket->input.data(), static_cast<unsigned>(socket->input.size()));
        },
        [](uv_stream_t* handle, ssize_t count, const uv_buf_t* buffer) {
            Stream* self = static_cast<Socket*>(handle->data)->stream;
            if (self == nullptr || count == 0) return;
            self->loop_.callback([=] {
                if (count > 0) return self->read({buffer->base, static_cast<std::size_t>(count)});
                self->fail(Phase::kRead,
                           count == UV_EOF ? "the server has closed the connection" : uv_strerror(static_cast<int>(count)));
            });
        });
    user_.opened();
}

void Stream::secure(const std::string& authorities) {
    is_secured_ = false;
    try {
        tls_ = std::make_unique<TlsSession>(authorities, host_);
    } catch (const std::exception& error) {
        return fail(Phase::kTls, error.what());
    }
    if (tls_->shake_hands() == TlsSession::State::kFailed) return fail(Phase::kTls, tls_->reason());
    tls_->take_output(waiting_);
    send();
}

void Stream::read(std::string_view bytes) {
    if (tls_) return read_tls(bytes);
    user_.received(bytes);
}

void Stream::read_tls(std::string_view bytes) {
    std::string plain;
    const TlsSession::State state = tls_->receive(bytes, plain);
    const std::string reason = state == TlsSession::State::kFailed ? tls_->reason() : std::string();
    tls_->take_output(waiting_);
    send();
    if (socket_ == nullptr) return;
    if (state == TlsSession::State::kFailed) return fail(is_secured_ ? Phase::kRead : Phase::kTls, reason);
    if (state == TlsSession::State::kOpen && !is_secured_) {
        is_secured_ = true;
        user_.secured();
    }
    if (!plain.empty() && socket_ != nullptr) user_.received(plain);
    if (state == TlsSession::State::kEnded && socket_ != nullptr) fail(Phase::kRead, "the server has closed the connection");
}

void Stream::write(std::string_view bytes) {
    if (socket_ == nullptr) return;
    if (tls_) {
        tls_->send(bytes);
        tls_->take_output(waiting_);
    } else {
        waiting_ += bytes;
    }
    send();
}

// The socket takes what it has room for at once, so that unsent() is what is really left. libuv writes the rest.
void Stream::send() {
    if (socket_ == nullptr || !sending_.empty() || waiting_.empty()) return;
    const uv_buf_t waiting = uv_buf_init(waiting_.data(), static_cast<unsigned>(waiting_.size()));
    const int taken = uv_try_write(reinterpret_cast<uv_stream_t*>(&socket_->tcp), &waiting, 1);
    if (taken < 0 && taken != UV_EAGAIN) return fail(Phase::kRead, uv_strerror(taken));
    if (taken > 0) waiting_.erase(0, static_cast<std::size_t>(taken));
    if (waiting_.empty()) return;
    sending_.swap(waiting_);
    sending_.reserve(64);  // the bytes must not lie in the string itself, because close() hands them on
    const uv_buf_t buffer = uv_buf_init(sending_.data(), static_cast<unsigned>(sending_.size()));
    const int error = uv_write(&socket_->write, reinterpret_cast<uv_stream_t*>(&socket_->tcp), &buffer, 1,
                               [](uv_write_t* request, int status) {
                                   Stream* self = static_cast<Socket*>(request->data)->stream;
                                   if (self != nullptr) self->loop_.callback([=] { self->sent(status); });
                               });
    if (error != 0) fail(Phase::kRead, uv_strerror(error));
}

void Stream::sent(int status) {
    sending_.clear();
    if (status != 0) return fail(Phase::kRead, uv_strerror(status));
    send();
}

void Stream::fail(Phase phase, const std::string& reason) {
    close();
    user_.failed(phase, reason);
}

void Stream::close() noexcept {
    resolver_.cancel();
    is_resolving_ = false;
    addresses_.clear();
    waiting_.clear();
    tls_.reset();
    is_secured_ = false;
    if (socket_ == nullptr) return;
    socket_->stream = nullptr;
    socket_->output.swap(sending_);  // libuv may still read from it
    sending_.clear();
    uv_close(reinterpret_cast<uv_handle_t*>(&socket_->tcp),
             [](uv_handle_t* handle) { delete static_cast<Socket*>(handle->data); });
    socket_ = nullptr;
}

}  // namespace relay
