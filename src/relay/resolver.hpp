// Finds the addresses of a host name by c-ares inside a libuv loop. No thread is needed, and nothing blocks.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <sys/socket.h>

#include <ares.h>
#include <uv.h>

#include "postgres/event_loop.hpp"

namespace relay {

struct Address {
    sockaddr_storage storage{};
    const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&storage); }
};

class Resolver {
public:
    // Gets the addresses, or none and the reason in words. It runs inside a callback of the loop.
    using Done = std::function<void(std::vector<Address> addresses, const std::string& reason)>;

    explicit Resolver(postgres::EventLoop& loop);
    Resolver(const Resolver&) = delete;
    Resolver& operator=(const Resolver&) = delete;
    ~Resolver();

    // Also takes a numeric address. There is one look-up at a time: a new one ends the one before without an answer. `done` may
    // cancel, and starts no other one.
    void resolve(const std::string& host, std::uint16_t port, Done done);
    void cancel() noexcept;

private:
    struct Watch;

    static void on_sockets(void* resolver, ares_socket_t socket, int readable, int writable) noexcept;
    static void on_answer(void* resolver, int status, int timeouts, ares_addrinfo* found) noexcept;
    void watch(ares_socket_t socket, bool readable, bool writable);
    void answer(int status, ares_addrinfo* found);
    void make_channel();
    void process(ares_socket_t readable, ares_socket_t writable);
    void destroy_channel() noexcept;

    postgres::EventLoop& loop_;
    ares_channel channel_ = nullptr;
    uv_timer_t* timer_ = nullptr;  // c-ares looks at its time-outs when it runs
    std::vector<Watch*> watches_;
    Done done_;
    bool is_in_ares_ = false;  // the channel must not be destroyed then
    bool is_over_ = false;     // it is to be destroyed
};

}  // namespace relay
