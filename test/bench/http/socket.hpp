// A connection to a server on this machine, which the destructor closes.
#pragma once

#include <cstddef>
#include <string_view>

namespace bench {

class Socket {
public:
    // Connects, and does not wait in send() and receive() from then on.
    explicit Socket(int port);
    Socket(Socket&& other) noexcept;
    Socket(const Socket&) = delete;
    Socket& operator=(const Socket&) = delete;
    ~Socket();

    int descriptor() const { return descriptor_; }

    // Returns how many bytes the socket has taken.
    std::size_t send(std::string_view bytes);

    // Reads once, into a buffer that the next call of any socket of this thread uses again. Empty: nothing has come. Throws
    // when the server has closed the connection.
    std::string_view receive();

private:
    int descriptor_;
};

}  // namespace bench
