// c-ares says which sockets it waits for, and libuv watches these.
#include "relay/resolver.hpp"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace relay {
namespace {

constexpr int kTimeout = 2000;  // milliseconds for the first try
constexpr int kTries = 2;
constexpr std::uint64_t kTimerInterval = 100;  // milliseconds

void delete_timer(uv_handle_t* handle) {
    delete reinterpret_cast<uv_timer_t*>(handle);
}

}  // namespace

// The handle outlives the resolver until libuv has closed it.
struct Resolver::Watch {
    uv_poll_t poll{};
    Resolver* resolver = nullptr;
    ares_socket_t socket = ARES_SOCKET_BAD;
};

Resolver::Resolver(postgres::EventLoop& loop) : loop_(loop) {
    if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS) throw std::runtime_error("c-ares does not start");
}

Resolver::~Resolver() {
    cancel();
    ares_library_cleanup();
}

// The channel is made for each look-up, so that it reads the configuration of the machine as it is now.
void Resolver::make_channel() {
    ares_options options{};
    options.timeout = kTimeout;
    options.tries = kTries;
    options.sock_state_cb = on_sockets;
    options.sock_state_cb_data = this;
    if (ares_init_options(&channel_, &options, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB) != ARES_SUCCESS) {
        channel_ = nullptr;
        throw std::runtime_error("c-ares cannot read the machine's configuration of names");
    }
    timer_ = new uv_timer_t;
    uv_timer_init(loop_.get(), timer_);
    timer_->data = this;
    uv_timer_start(
        timer_,
        [](uv_timer_t* timer) {
            auto* self = static_cast<Resolver*>(timer->data);
            if (self != nullptr) self->loop_.callback([self] { self->process(ARES_SOCKET_BAD, ARES_SOCKET_BAD); });
        },
        kTimerInterval, kTimerInterval);
}

void Resolver::resolve(const std::string& host, std::uint16_t port, Done done) {
    cancel();
    make_channel();
    done_ = std::move(done);
    ares_addrinfo_hints hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = ARES_AI_NUMERICSERV;
    is_in_ares_ = true;
    ares_getaddrinfo(channel_, host.c_str(), std::to_string(port).c_str(), &hints, on_answer, this);
    is_in_ares_ = false;
    if (is_over_) destroy_channel();
}

void Resolver::process(ares_socket_t readable, ares_socket_t writable) {
    is_in_ares_ = true;
    ares_process_fd(channel_, readable, writable);
    is_in_ares_ = false;
    if (is_over_) destroy_channel();
}

void Resolver::cancel() noexcept {
    done_ = nullptr;
    if (is_in_ares_)
        is_over_ = true;
    else
        destroy_channel();
}

void Resolver::destroy_channel() noexcept {
    if (channel_ == nullptr) return;
    ares_destroy(std::exchange(channel_, nullptr));  // it reports every socket as unwatched, and the look-up as cancelled
    is_over_ = false;
    timer_->data = nullptr;
    uv_close(reinterpret_cast<uv_handle_t*>(std::exchange(timer_, nullptr)), delete_timer);
}

void Resolver::on_sockets(void* resolver, ares_socket_t socket, int readable, int writable) noexcept {
    auto* self = static_cast<Resolver*>(resolver);
    self->loop_.callback([=] { self->watch(socket, readable != 0, writable != 0); });
}

void Resolver::watch(ares_socket_t socket, bool readable, bool writable) {
    const auto found =
        std::find_if(watches_.begin(), watches_.end(), [socket](const Watch* each) { return each->socket == socket; });
    if (!readable && !writable) {
        if (found == watches_.end()) return;
        Watch* watch = *found;
        watches_.erase(found);
        watch->resolver = nullptr;
        uv_poll_stop(&watch->poll);
        uv_close(reinterpret_cast<uv_handle_t*>(&watch->poll),
                 [](uv_handle_t* handle) { delete static_cast<Watch*>(handle->data); });
        return;
    }
    Watch* watch = found == watches_.end() ? new Watch : *found;
    if (found == watches_.end()) {
        watch->resolver = this;
        watch->socket = socket;
        if (uv_poll_init_socket(loop_.get(), &watch->poll, socket) != 0) {
            delete watch;
            throw std::runtime_error("libuv cannot watch the socket of a look-up");
        }
        watch->poll.data = watch;
        watches_.push_back(watch);
    }
    uv_poll_start(&watch->poll, (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0),
                  [](uv_poll_t* poll, int status, int events) {
                      auto* ready = static_cast<Watch*>(poll->data);
                      Resolver* self = ready->resolver;
                      if (self == nullptr || self->channel_ == nullptr) return;
                      const bool is_broken = status < 0;
                      self->loop_.callback([=] {
                          self->process(is_broken || (events & UV_READABLE) != 0 ? ready->socket : ARES_SOCKET_BAD,
                                        is_broken || (events & UV_WRITABLE) != 0 ? ready->socket : ARES_SOCKET_BAD);
                      });
                  });
}

void Resolver::on_answer(void* resolver, int status, int, ares_addrinfo* found) noexcept {
    auto* self = static_cast<Resolver*>(resolver);
    self->loop_.callback([=] { self->answer(status, found); });
}

void Resolver::answer(int status, ares_addrinfo* found) {
    std::vector<Address> addresses;
    for (const ares_addrinfo_node* node = found == nullptr ? nullptr : found->nodes; node != nullptr; node = node->ai_next) {
        if (node->ai_addrlen > sizeof(sockaddr_storage)) continue;
        std::memcpy(&addresses.emplace_back().storage, node->ai_addr, node->ai_addrlen);
    }
    if (found != nullptr) ares_freeaddrinfo(found);
    is_over_ = true;
    if (!done_) return;  // cancelled
    const Done done = std::exchange(done_, nullptr);
    done(std::move(addresses), status == ARES_SUCCESS ? std::string() : ares_strerror(status));
}

}  // namespace relay
