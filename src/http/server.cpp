// Accepts, sweeps and forgets connections.
#include "http/server.hpp"

#include <sys/socket.h>

#include <ctime>
#include <utility>

#include "http/problem.hpp"

namespace http {
namespace {

constexpr std::size_t kReadBuffer = 64 * 1024;
constexpr int kBacklog = 1024;
constexpr std::uint64_t kSweepInterval = 500;  // milliseconds
constexpr std::size_t kBodiesInMemory = 8;     // as large as one may be, together
constexpr std::size_t kRefusedInMemory = 64;   // connections beyond the limit that are told so

}  // namespace

struct Server::Listener {
    uv_tcp_t tcp;
    Server* server;  // null: it is closing
};

Server::Server(postgres::EventLoop& loop) : loop_(loop), buffer_(kReadBuffer) {
    set_limits({});
    sweeper_ = new uv_timer_t;
    uv_timer_init(loop_.get(), sweeper_);
    sweeper_->data = this;
}

Server::~Server() {
    stop_listening();
    for (const Slot& slot : slots_)
        if (slot.connection != nullptr) slot.connection->close();
    uv_close(reinterpret_cast<uv_handle_t*>(sweeper_),
             [](uv_handle_t* handle) { delete reinterpret_cast<uv_timer_t*>(handle); });
}

void Server::set_limits(const ServerLimits& limits) {
    limits_ = limits;
    connection_limits_ = {.most_body_bytes = limits.most_body_bytes,
                          .most_body_bytes_together = kBodiesInMemory * (limits.most_body_bytes + kMostHeaderBytes),
                          .timeout = limits.timeout};
}

std::optional<std::string> Server::listen(const std::string& host, int port) {
    sockaddr_storage address{};
    const bool is_ipv6 = host.find(':') != std::string::npos;
    int error = is_ipv6 ? uv_ip6_addr(host.c_str(), port, reinterpret_cast<sockaddr_in6*>(&address))
                        : uv_ip4_addr(host.c_str(), port, reinterpret_cast<sockaddr_in*>(&address));
    if (error != 0) return uv_strerror(error);
    auto* listener = new Listener{{}, this};
    error = uv_tcp_init_ex(loop_.get(), &listener->tcp, is_ipv6 ? AF_INET6 : AF_INET);
    if (error != 0) {
        delete listener;
        return uv_strerror(error);
    }
    listener->tcp.data = listener;
    listeners_.push_back(listener);
    const int on = 1;
    uv_os_fd_t socket = -1;
    uv_fileno(reinterpret_cast<uv_handle_t*>(&listener->tcp), &socket);
    if (setsockopt(socket, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0) return uv_strerror(uv_translate_sys_error(errno));
    error = uv_tcp_bind(&listener->tcp, reinterpret_cast<sockaddr*>(&address), is_ipv6 ? UV_TCP_IPV6ONLY : 0);
    if (error == 0)
        error = uv_listen(reinterpret_cast<uv_stream_t*>(&listener->tcp), kBacklog, [](uv_stream_t* handle, int status) {
            Server* server = static_cast<Listener*>(handle->data)->server;
            if (server != nullptr && status == 0) server->loop_.callback([=] { server->has_connection(handle); });
        });
    if (error != 0) return uv_strerror(error);
    return std::nullopt;
}

void Server::stop_listening() noexcept {
    for (Listener* listener : listeners_) {
        listener->server = nullptr;
        uv_close(reinterpret_cast<uv_handle_t*>(&listener->tcp),
                 [](uv_handle_t* handle) { delete static_cast<Listener*>(handle->data); });
    }
    listeners_.clear();
}

void Server::has_connection(uv_stream_t* listener) {
    Connection* connection = Connection::accept(loop_, *this, listener);
    if (connection == nullptr) return;
    if (free_slots_.empty()) {
        free_slots_.push_back(static_cast<std::uint32_t>(slots_.size()));
        slots_.emplace_back();
        free_slots_.reserve(slots_.capacity());  // so that is_gone needs no memory
    }
    connection->slot = free_slots_.back();
    free_slots_.pop_back();
    Slot& slot = slots_[connection->slot];
    slot.connection = connection;
    ++slot.generation;
    ++count_;
    begin_sweeping();
    if (count_ <= limits_.most_connections) return connection->begin_reading();
    if (count_ > limits_.most_connections + kRefusedInMemory) return connection->close();
    connection->refuse({503, "The server has as many connections as telemetry_cqrs.http_connections allows."});
}

uv_buf_t Server::read_buffer() noexcept {
    return uv_buf_init(buffer_.data(), static_cast<unsigned>(buffer_.size()));
}

void Server::received(Connection& connection, Request&& request) {
    received_.push_back({{connection.slot, slots_[connection.slot].generation}, std::move(request)});
    loop_.end_wait();
}

void Server::has_room(Connection&) {
    loop_.end_wait();
}

void Server::is_gone(Connection& connection) noexcept {
    Slot& slot = slots_[connection.slot];
    slot.connection = nullptr;
    free_slots_.push_back(connection.slot);
    --count_;
}

std::optional<Received> Server::take_received() {
    while (!received_.empty()) {
        Received next = std::move(received_.front());
        received_.pop_front();
        if (is_open(next.from)) return next;
    }
    return std::nullopt;
}

Connection* Server::find(ConnectionId id) const noexcept {
    if (id.slot >= slots_.size() || slots_[id.slot].generation != id.generation) return nullptr;
    return slots_[id.slot].connection;
}

void Server::add_date(Response& response) {
    const std::time_t now = std::time(nullptr);
    if (now != date_second_) {
        date_second_ = now;
        std::tm parts{};
        gmtime_r(&now, &parts);
        char text[40];
        constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
        constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
        const int size =
            std::snprintf(text, sizeof text, "%s, %02d %s %04d %02d:%02d:%02d GMT", kDays[parts.tm_wday], parts.tm_mday,
                          kMonths[parts.tm_mon], parts.tm_year + 1900, parts.tm_hour, parts.tm_min, parts.tm_sec);
        date_.assign(text, static_cast<std::size_t>(size));
    }
    response.with("Date", date_);
}

void Server::answer(ConnectionId to, Response response) {
    add_date(response);
    if (Connection* connection = find(to)) connection->answer(response);
}

void Server::begin_stream(ConnectionId to, Response head) {
    add_date(head);
    if (Connection* connection = find(to)) connection->begin_stream(head);
}

void Server::send(ConnectionId to, std::string_view bytes) {
    if (Connection* connection = find(to)) connection->send_piece(bytes);
}

void Server::end_stream(ConnectionId to) {
    if (Connection* connection = find(to)) connection->end_stream();
}

bool Server::has_room_for_more(ConnectionId id) const noexcept {
    const Connection* connection = find(id);
    return connection != nullptr && connection->is_streaming() && !connection->has_unsent();
}

// Without connections there is no timer, so an idle server costs nothing.
void Server::begin_sweeping() {
    if (is_sweeping_) return;
    is_sweeping_ = true;
    uv_timer_start(
        sweeper_,
        [](uv_timer_t* timer) {
            auto* self = static_cast<Server*>(timer->data);
            self->loop_.callback([=] { self->sweep(); });
        },
        kSweepInterval, kSweepInterval);
}

void Server::sweep() {
    const runtime::SteadyTime now = runtime::steady_time();
    for (std::size_t i = 0; i < slots_.size(); ++i)
        if (slots_[i].connection != nullptr) slots_[i].connection->look_at_deadline(now);
    if (count_ > 0) return;
    uv_timer_stop(sweeper_);
    is_sweeping_ = false;
}

}  // namespace http
