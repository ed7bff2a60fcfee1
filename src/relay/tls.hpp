// TLS by OpenSSL, on bytes in memory: a session turns the bytes of a connection into plain text and back.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <openssl/ssl.h>

namespace relay {

class TlsSession {
public:
    // The server's certificate must be for `host`, a name or an address, and of an authority that is trusted: `authorities` is
    // a file of certificates in PEM, or empty for those of the system. The file is read each time, because it may have changed.
    // Throws std::runtime_error if it cannot be read.
    TlsSession(const std::string& authorities, const std::string& host);

    enum class State { kHandshake, kOpen, kEnded, kFailed };

    // Takes bytes from the connection and appends the plain text in them.
    State receive(std::string_view bytes, std::string& plain);
    // Goes on with the handshake. Call it once to begin.
    State shake_hands();
    void send(std::string_view plain);

    // Moves the bytes that must go to the connection to the end of `bytes`.
    void take_output(std::string& bytes);

    // Why it failed.
    std::string reason() const;

private:
    struct Free {
        void operator()(SSL* session) const noexcept { SSL_free(session); }
    };
    std::unique_ptr<SSL, Free> session_;
    BIO* input_ = nullptr;  // the session owns both
    BIO* output_ = nullptr;
};

}  // namespace relay
