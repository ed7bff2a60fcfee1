// Drives OpenSSL by two buffers in memory.
#include "relay/tls.hpp"

#include <algorithm>
#include <stdexcept>

#include <openssl/err.h>
#include <openssl/x509v3.h>

namespace relay {
namespace {

std::string last_error() {
    char text[256] = "unknown error";
    if (const unsigned long code = ERR_get_error(); code != 0) ERR_error_string_n(code, text, sizeof text);
    ERR_clear_error();
    return text;
}

bool is_address(const std::string& host) {
    ASN1_OCTET_STRING* address = a2i_IPADDRESS(host.c_str());
    if (address == nullptr) return false;
    ASN1_OCTET_STRING_free(address);
    return true;
}

struct FreeContext {
    void operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }
};
using ContextPointer = std::unique_ptr<SSL_CTX, FreeContext>;

ContextPointer make_context(const std::string& authorities) {
    ERR_clear_error();
    ContextPointer context(SSL_CTX_new(TLS_client_method()));
    if (!context) throw std::runtime_error("OpenSSL does not start: " + last_error());
    SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    const int is_loaded = authorities.empty() ? SSL_CTX_set_default_verify_paths(context.get())
                                              : SSL_CTX_load_verify_locations(context.get(), authorities.c_str(), nullptr);
    if (is_loaded != 1) throw std::runtime_error("the certificates of authorities cannot be read: " + last_error());
    return context;
}

}  // namespace

TlsSession::TlsSession(const std::string& authorities, const std::string& host) {
    const ContextPointer context = make_context(authorities);
    session_.reset(SSL_new(context.get()));  // it keeps the context
    ERR_clear_error();
    if (!session_) throw std::runtime_error("OpenSSL makes no session: " + last_error());
    input_ = BIO_new(BIO_s_mem());
    output_ = BIO_new(BIO_s_mem());
    SSL_set_bio(session_.get(), input_, output_);
    SSL_set_connect_state(session_.get());
    if (is_address(host)) {
        X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session_.get()), host.c_str());
    } else {
        SSL_set1_host(session_.get(), host.c_str());
        SSL_set_tlsext_host_name(session_.get(), host.c_str());
    }
}

TlsSession::State TlsSession::shake_hands() {
    ERR_clear_error();
    const int result = SSL_do_handshake(session_.get());
    if (result == 1) return State::kOpen;
    const int error = SSL_get_error(session_.get(), result);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? State::kHandshake : State::kFailed;
}

TlsSession::State TlsSession::receive(std::string_view bytes, std::string& plain) {
    BIO_write(input_, bytes.data(), static_cast<int>(bytes.size()));
    if (SSL_is_init_finished(session_.get()) == 0) {
        const State state = shake_hands();
        if (state != State::kOpen) return state;
    }
    for (;;) {
        char buffer[16 * 1024];
        ERR_clear_error();
        const int count = SSL_read(session_.get(), buffer, sizeof buffer);
        if (count > 0) {
            plain.append(buffer, static_cast<std::size_t>(count));
            continue;
        }
        switch (SSL_get_error(session_.get(), count)) {
            case SSL_ERROR_WANT_READ:
            case SSL_ERROR_WANT_WRITE:
                return State::kOpen;
            case SSL_ERROR_ZERO_RETURN:
                return State::kEnded;
            default:
                return State::kFailed;
        }
    }
}

// A buffer in memory takes everything.
void TlsSession::send(std::string_view plain) {
    ERR_clear_error();
    while (!plain.empty()) {
        const int count =
            SSL_write(session_.get(), plain.data(), static_cast<int>(std::min<std::size_t>(plain.size(), 1 << 20)));
        if (count <= 0) throw std::runtime_error("TLS cannot write: " + last_error());
        plain.remove_prefix(static_cast<std::size_t>(count));
    }
}

void TlsSession::take_output(std::string& bytes) {
    char* data = nullptr;
    const long size = BIO_get_mem_data(output_, &data);
    bytes.append(data, static_cast<std::size_t>(size));
    (void)BIO_reset(output_);
}

std::string TlsSession::reason() const {
    const long verified = SSL_get_verify_result(session_.get());
    if (verified != X509_V_OK) return X509_verify_cert_error_string(verified);
    return last_error();
}

}  // namespace relay
