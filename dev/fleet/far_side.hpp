// Looks at what the relay sends from where it arrives: as a subscriber of NATS, and as a client of Redis.
//
// FLEET_NATS_PORT and FLEET_REDIS_PORT name their ports on 127.0.0.1. Without them there is nothing to look at.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "connection.hpp"

namespace fleet {

// A connection over TCP that is read without waiting.
class Socket {
public:
    explicit Socket(int port);  // throws std::runtime_error if nobody listens there
    Socket(const Socket&) = delete;
    Socket& operator=(const Socket&) = delete;
    ~Socket();

    void send(const std::string& bytes);
    // Appends what has come, and waits for it at most so long.
    void receive(std::string& bytes, int milliseconds = 0);

private:
    int descriptor_;
};

// A subscriber to telemetry.>.
class NatsListener {
public:
    explicit NatsListener(int port);
    void look();

    std::int64_t messages() const { return messages_; }
    const std::string& subject() const { return subject_; }  // of the last message
    const std::string& payload() const { return payload_; }

private:
    std::size_t take_one(std::size_t begin);

    Socket socket_;
    std::string input_;
    std::int64_t messages_ = 0;
    std::string subject_, payload_;
};

class RedisReader {
public:
    explicit RedisReader(int port) : socket_(port) {}
    // The value of a key; empty if there is none.
    std::string get(const std::string& key);

private:
    Socket socket_;
};

// What the relay says of itself, and what came out at the other end.
struct RelayFigures {
    bool has_nats = false, has_redis = false;
    std::int64_t nats_received = 0, nats_acknowledged = 0, nats_lag = 0;
    std::int64_t redis_sent = 0, redis_lag = 0;
    std::string nats_state, redis_state;
    std::string subject, payload;  // of the last message
    std::string key, value;        // of the device of that message
};

class FarSide {
public:
    FarSide();
    bool is_there() const { return nats_ || redis_; }
    void begin(client::Connection& connection);
    RelayFigures look(client::Connection& connection);

    // How many messages the stream TELEMETRY has, and how many readings the values of all devices count. Nothing without the
    // server.
    static std::optional<std::int64_t> messages_in_stream();
    std::optional<std::int64_t> readings_in_redis(client::Connection& connection);

private:
    std::optional<NatsListener> nats_;
    std::optional<RedisReader> redis_;
};

}  // namespace fleet
