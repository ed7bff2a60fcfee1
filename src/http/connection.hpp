// One connection of a client: it reads requests, one at a time, and sends the answers.
//
// | state | what it means | what ends it | what comes next |
// |---|---|---|---|
// | idle | No byte of the next request has come. | A byte comes. | reading |
// | reading | A part of a request has come. | The request is complete. | answering |
// | | | The bytes are no request. | sending, then closing |
// | answering | The owner has the request. Nothing is read meanwhile. | The owner answers. | sending, or streaming |
// | sending | Bytes of the answer are on their way. | All are sent. | idle, or closing |
// | streaming | The owner sends pieces of a body that has no end. What the client sends is dropped. | The owner ends it. |
// closing | | closing | Nothing more is sent. What still comes is dropped, because a reset could destroy the answer on its way.
// | The client closes, or two seconds are over. | gone |
//
// Each state has a deadline but answering. A client that misses it loses the connection: slow ones cost a connection, and never
// a process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <uv.h>

#include "http/request_parser.hpp"
#include "http/response.hpp"
#include "postgres/event_loop.hpp"
#include "runtime/steady_time.hpp"

namespace http {

class Connection;

struct ConnectionLimits {
    std::size_t most_body_bytes;
    std::size_t most_body_bytes_together;  // of all connections
    runtime::SteadyTime timeout;
};

// The owner of a connection implements this; the connection calls it.
class ConnectionOwner {
public:
    virtual const ConnectionLimits& limits() const noexcept = 0;
    virtual std::size_t& body_bytes_together() noexcept = 0;
    virtual uv_buf_t read_buffer() noexcept = 0;  // for the bytes of one read, which are taken at once
    virtual void received(Connection& connection, Request&& request) = 0;
    virtual void has_room(Connection& connection) = 0;          // all bytes of a stream were sent
    virtual void is_gone(Connection& connection) noexcept = 0;  // the last call; the connection deletes itself

protected:
    ~ConnectionOwner() = default;
};

// It lives on the heap, because libuv keeps it until it has closed the socket: `close` deletes it some time later.
class Connection {
public:
    // Takes the next connection of a listener. Null: there is none any more.
    static Connection* accept(postgres::EventLoop& loop, ConnectionOwner& owner, uv_stream_t* listener);
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    void begin_reading();

    // Answers without a request, and closes.
    void refuse(const RequestFlaw& flaw);

    // In the state answering. `must_close`: no further request is read.
    void answer(const Response& response, bool must_close = false);
    void begin_stream(const Response& head);

    // In the state streaming.
    void send_piece(std::string_view bytes);
    void end_stream();

    bool is_streaming() const noexcept { return state_ == State::kStreaming; }
    bool is_answering() const noexcept { return state_ == State::kAnswering; }
    bool has_unsent() const noexcept { return !sending_.empty() || !waiting_.empty(); }

    // Closes the connection if its deadline is over.
    void look_at_deadline(runtime::SteadyTime now);

    void close() noexcept;

    std::uint32_t slot = 0;  // the owner's

private:
    enum class State { kIdle, kReading, kAnswering, kSending, kStreaming, kClosing, kGone };

    Connection(postgres::EventLoop& loop, ConnectionOwner& owner);
    ~Connection() = default;

    uv_stream_t* stream() noexcept { return reinterpret_cast<uv_stream_t*>(&tcp_); }
    void enter(State state);
    void start_read();
    void stop_read();
    void has_read(std::string_view bytes);
    void parse();
    void acknowledge() noexcept;
    void count_body(std::size_t bytes);
    void forget_body();
    void send(std::string bytes);
    void flush();
    void sent(int status);
    void all_sent();
    void begin_closing();

    postgres::EventLoop& loop_;
    ConnectionOwner& owner_;
    uv_tcp_t tcp_{};
    uv_write_t write_{};
    uv_shutdown_t shutdown_{};
    State state_ = State::kIdle;
    runtime::SteadyTime deadline_ = 0;
    std::size_t unsent_at_look_ = 0;
    bool is_reading_ = false;
    bool closes_after_answer_ = false;
    bool is_head_ = false;
    bool knows_chunks_ = true;
    bool has_answered_ = false;  // a request before
    std::size_t body_bytes_ = 0;
    std::optional<RequestParser> parser_;
    std::string input_;    // read, and not parsed yet
    std::string sending_;  // given to libuv
    std::string waiting_;  // for libuv
};

}  // namespace http
