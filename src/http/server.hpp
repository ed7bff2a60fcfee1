// Listens, and keeps the connections. Its user takes complete requests and answers them, in any order and at any time.
//
// It serves callbacks of libuv in the loop of its user. Each complete request ends the wait of that loop.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <uv.h>

#include "http/connection.hpp"
#include "http/request.hpp"
#include "http/response.hpp"
#include "postgres/event_loop.hpp"

namespace http {

// The name of a connection. The server ignores calls for a connection that has gone.
struct ConnectionId {
    std::uint32_t slot = 0;
    std::uint32_t generation = 0;

    bool operator==(const ConnectionId&) const = default;
};

struct Received {
    ConnectionId from;
    Request request;
};

struct ServerLimits {
    std::size_t most_connections = 1000;
    std::size_t most_body_bytes = 16 << 20;
    runtime::SteadyTime timeout = 10 * 1000 * 1000;
};

class Server : private ConnectionOwner {
public:
    explicit Server(postgres::EventLoop& loop);
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;
    // Closes everything; the loop must still be there.
    ~Server();

    void set_limits(const ServerLimits& limits);

    // Several processes may listen at one address. Returns why it cannot be had, or nothing.
    std::optional<std::string> listen(const std::string& host, int port);
    void stop_listening() noexcept;

    std::optional<Received> take_received();
    bool has_received() const noexcept { return !received_.empty(); }

    void answer(ConnectionId to, Response response);

    // Begins an answer whose body has no end. Then `send` adds a piece, and `has_room_for_more` says that all of the earlier
    // ones were sent: a user that asks first keeps no more than a piece in memory.
    void begin_stream(ConnectionId to, Response head);
    void send(ConnectionId to, std::string_view bytes);
    void end_stream(ConnectionId to);
    bool is_open(ConnectionId id) const noexcept { return find(id) != nullptr; }
    bool has_room_for_more(ConnectionId id) const noexcept;

    std::size_t connection_count() const noexcept { return count_; }

private:
    struct Slot {
        Connection* connection = nullptr;
        std::uint32_t generation = 0;
    };
    struct Listener;

    const ConnectionLimits& limits() const noexcept override { return connection_limits_; }
    std::size_t& body_bytes_together() noexcept override { return body_bytes_; }
    uv_buf_t read_buffer() noexcept override;
    void received(Connection& connection, Request&& request) override;
    void has_room(Connection& connection) override;
    void is_gone(Connection& connection) noexcept override;

    Connection* find(ConnectionId id) const noexcept;
    void has_connection(uv_stream_t* listener);
    void add_date(Response& response);
    void begin_sweeping();
    void sweep();

    postgres::EventLoop& loop_;
    ServerLimits limits_;
    ConnectionLimits connection_limits_{};
    std::vector<Listener*> listeners_;
    std::vector<Slot> slots_;
    std::vector<std::uint32_t> free_slots_;
    std::size_t count_ = 0;
    std::size_t body_bytes_ = 0;
    std::deque<Received> received_;
    std::vector<char> buffer_;
    uv_timer_t* sweeper_ = nullptr;
    bool is_sweeping_ = false;
    std::int64_t date_second_ = 0;
    std::string date_;
};

}  // namespace http
