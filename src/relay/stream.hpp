// A TCP connection, with TLS if wanted, inside a libuv loop. It never blocks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <uv.h>

#include "postgres/event_loop.hpp"
#include "relay/resolver.hpp"
#include "relay/tls.hpp"

namespace relay {

// Where a connection failed. relay_status shows the word.
enum class Phase { kResolve, kConnect, kTls, kHandshake, kAuthentication, kStream, kPublish, kAcknowledge, kRead };
const char* word_of(Phase phase) noexcept;

// Gets what happens to a stream. The functions run inside a callback of the loop. They may close the stream, and not delete it.
class StreamUser {
public:
    virtual void opened() = 0;   // connected
    virtual void secured() = 0;  // the handshake of TLS is over
    virtual void received(std::string_view bytes) = 0;
    virtual void failed(Phase phase, const std::string& reason) = 0;  // the stream is closed

protected:
    ~StreamUser() = default;
};

class Stream {
public:
    Stream(postgres::EventLoop& loop, StreamUser& user);
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;
    ~Stream() { close(); }

    // Resolves the name and tries its addresses one after the other.
    void open(const std::string& host, std::uint16_t port);

    // Speaks TLS from now on. The server's certificate must be for the host, and from one of these authorities (relay/tls.hpp).
    void secure(const std::string& authorities);

    void write(std::string_view bytes);
    std::size_t unsent() const noexcept { return waiting_.size() + sending_.size(); }

    // Ends the connection without a word, and forgets what is unsent. The user gets nothing more.
    void close() noexcept;
    bool is_open() const noexcept { return socket_ != nullptr; }
    // Does it still look for the addresses of the host?
    bool is_resolving() const noexcept { return is_resolving_; }

private:
    struct Socket;

    void connect_next();
    void connected(int status);
    void read(std::string_view bytes);
    void read_tls(std::string_view bytes);
    void send();
    void sent(int status);
    void fail(Phase phase, const std::string& reason);

    postgres::EventLoop& loop_;
    StreamUser& user_;
    Resolver resolver_;
    std::string host_;
    std::vector<Address> addresses_;  // that are still to be tried, the next one last
    std::string last_reason_;
    Socket* socket_ = nullptr;
    std::unique_ptr<TlsSession> tls_;
    bool is_resolving_ = false;
    bool is_secured_ = false;
    std::string waiting_;  // bytes for the socket
    std::string sending_;  // bytes that libuv has
};

}  // namespace relay
