#include "http/socket.hpp"

#include <cerrno>
#include <cstdint>
#include <stdexcept>
#include <system_error>
#include <utility>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

namespace bench {
namespace {

[[noreturn]] void fail(const char* what) {
    throw std::system_error(errno, std::generic_category(), what);
}

}  // namespace

Socket::Socket(int port) : descriptor_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (descriptor_ < 0) fail("no socket");
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int on = 1;
    if (connect(descriptor_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        setsockopt(descriptor_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
        fcntl(descriptor_, F_SETFL, O_NONBLOCK) != 0) {
        const int reason = errno;
        close(descriptor_);
        throw std::system_error(reason, std::generic_category(), "no connection to a server of HTTP");
    }
}

Socket::Socket(Socket&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

Socket::~Socket() {
    if (descriptor_ >= 0) close(descriptor_);
}

std::size_t Socket::send(std::string_view bytes) {
    const ssize_t sent = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent >= 0) return static_cast<std::size_t>(sent);
    if (errno != EAGAIN) fail("sending a request");
    return 0;
}

std::string_view Socket::receive() {
    static thread_local char buffer[64 * 1024];
    const ssize_t received = recv(descriptor_, buffer, sizeof buffer, 0);
    if (received > 0) return {buffer, static_cast<std::size_t>(received)};
    if (received == 0) throw std::runtime_error("the server has closed a connection");
    if (errno != EAGAIN) fail("receiving an answer");
    return {};
}

}  // namespace bench
