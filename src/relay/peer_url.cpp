// Takes a URL apart from the left to the right, and stops at the first flaw.
#include "relay/peer_url.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <system_error>
#include <utility>

namespace relay {

namespace {

constexpr std::string_view kSchemeEnd = "://";
constexpr std::size_t kMaxHostSize = 253;  // of a name in DNS

struct Scheme {
    std::string_view name;
    PeerKind kind;
    bool is_tls;
    std::uint16_t port;
};

constexpr Scheme kSchemes[] = {{"nats", PeerKind::kNats, false, 4222},
                               {"tls", PeerKind::kNats, true, 4222},
                               {"redis", PeerKind::kRedis, false, 6379},
                               {"rediss", PeerKind::kRedis, true, 6379}};

const Scheme* scheme_in(std::string_view url, PeerKind kind) noexcept {
    const auto* const found = std::ranges::find_if(kSchemes, [url, kind](const Scheme& scheme) {
        return scheme.kind == kind && url.starts_with(scheme.name) && url.substr(scheme.name.size()).starts_with(kSchemeEnd);
    });
    return found == std::end(kSchemes) ? nullptr : found;
}

std::string_view without_blanks(std::string_view text) noexcept {
    constexpr std::string_view kBlanks = " \t\r\n";
    text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
    return text.substr(0, text.find_last_not_of(kBlanks) + 1);
}

bool is_digit(char c) noexcept {
    return c >= '0' && c <= '9';
}

bool is_of_host_name(char c) noexcept {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '.' || c == '_';
}

int hex_value(char c) noexcept {
    if (is_digit(c)) return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

bool is_ipv6_address(std::string_view text) {
    in6_addr address;
    return text.find('\0') == std::string_view::npos && inet_pton(AF_INET6, std::string(text).c_str(), &address) == 1;
}

// Reads one URL. Each step returns false if it found a flaw.
class PeerUrlReader {
public:
    PeerUrlReader(std::string_view url, PeerKind kind) : rest_(without_blanks(url)) { result_.kind = kind; }

    bool read() {
        if (rest_.empty()) return fail("the URL is empty");
        const Scheme* scheme = scheme_in(rest_, result_.kind);
        if (scheme == nullptr)
            return fail(result_.kind == PeerKind::kNats ? "the URL begins neither with nats:// nor with tls://"
                                                        : "the URL begins neither with redis:// nor with rediss://");
        result_.is_tls = scheme->is_tls;
        result_.port = scheme->port;
        rest_.remove_prefix(scheme->name.size() + kSchemeEnd.size());

        std::string_view authority = rest_.substr(0, rest_.find_first_of("/?#"));
        const std::string_view path = rest_.substr(authority.size());
        const auto at_sign = authority.rfind('@');
        if (at_sign == std::string_view::npos && path.find('@') != std::string_view::npos) {
            rest_ = path;
            return fail("the /, ? or # in the part before the @ is not written as %XX");
        }
        if (at_sign != std::string_view::npos) {
            rest_ = authority;
            if (!read_credentials(authority.substr(0, at_sign))) return false;
            authority.remove_prefix(at_sign + 1);
        }
        return read_host_and_port(authority) && read_path(path);
    }

    PeerUrl take() { return std::move(result_); }
    const char* flaw() const noexcept { return flaw_; }
    const char* place() const noexcept { return rest_.data(); }

private:
    bool fail(const char* flaw) noexcept {
        flaw_ = flaw;
        return false;
    }

    bool read_credentials(std::string_view text) {
        rest_ = text;
        const auto colon = text.find(':');
        const std::string_view first = text.substr(0, colon);
        if (colon == std::string_view::npos) {
            if (result_.kind == PeerKind::kRedis) return fail("the part before the @ is not user:password or :password");
            if (text.empty()) return fail("the token before the @ is missing");
            return decode(text, result_.token);
        }
        if (first.empty() && result_.kind == PeerKind::kNats) return fail("the user is missing");
        if (!decode(first, result_.user)) return false;
        rest_ = text.substr(colon + 1);
        if (rest_.empty()) return fail("the password is missing");
        return decode(rest_, result_.password);
    }

    bool decode(std::string_view text, std::string& decoded) {
        while (!text.empty()) {
            rest_ = text;
            char c = text.front();
            if (c == '%') {
                const int high = text.size() > 2 ? hex_value(text[1]) : -1;
                const int low = text.size() > 2 ? hex_value(text[2]) : -1;
                if (high < 0 || low < 0) return fail("two hexadecimal digits are missing after a %");
                c = static_cast<char>(high * 16 + low);
                text.remove_prefix(2);
            }
            text.remove_prefix(1);
            if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) return fail("there is a control character before the @");
            if (decoded.size() == kMaxCredentialSize) return fail("the user, password or token has more than 512 bytes");
            decoded += c;
        }
        return true;
    }

    bool read_host_and_port(std::string_view text) {
        rest_ = text;
        if (text.starts_with('[')) {
            const auto end = text.find(']');
            const std::string_view address = text.substr(1, end - 1);
            if (end == std::string_view::npos || !is_ipv6_address(address))
                return fail("the brackets do not hold an IPv6 address");
            result_.host = address;
            text.remove_prefix(end + 1);
        } else {
            const std::string_view host = text.substr(0, text.find(':'));
            if (host.empty()) return fail("the host is missing");
            if (host.size() > kMaxHostSize || !std::ranges::all_of(host, is_of_host_name))
                return fail("the host is neither a name nor an address");
            result_.host = host;
            text.remove_prefix(host.size());
        }
        if (text.empty()) return true;
        rest_ = text;
        if (text.front() != ':') return fail("only a port may follow the brackets");
        text.remove_prefix(1);
        rest_ = text;
        if (!read_number(text, result_.port) || result_.port == 0) return fail("the port is not a number from 1 to 65535");
        return true;
    }

    bool read_path(std::string_view text) {
        rest_ = text;
        if (text.empty() || text == "/") return true;
        if (result_.kind == PeerKind::kNats) return fail("something follows the host and the port");
        if (text.front() != '/' || !is_digit(text[1]) || !read_number(text.substr(1), result_.database))
            return fail("something else than the number of a database follows the host and the port");
        return true;
    }

    template <typename Number>
    static bool read_number(std::string_view text, Number& number) noexcept {
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
        return error == std::errc() && end == text.data() + text.size();
    }

    std::string_view rest_;
    PeerUrl result_;
    const char* flaw_ = nullptr;
};

// `url_number`: from 1; 0 where the setting is not a list.
PeerUrlFlaw flaw_of(const PeerUrlReader& reader, std::string_view setting, std::size_t url_number) {
    const std::string list_place = url_number == 0 ? "" : "URL " + std::to_string(url_number) + ", ";
    const auto byte = reader.place() - setting.data() + 1;
    return {std::string(reader.flaw()) + " (" + list_place + "byte " + std::to_string(byte) + ")"};
}

}  // namespace

std::variant<std::vector<PeerUrl>, PeerUrlFlaw> parse_nats_urls(std::string_view setting) {
    std::vector<PeerUrl> urls;
    for (std::string_view rest = setting;;) {
        const auto comma = rest.find(',');
        PeerUrlReader reader(rest.substr(0, comma), PeerKind::kNats);
        if (!reader.read()) return flaw_of(reader, setting, urls.size() + 1);
        urls.push_back(reader.take());
        if (comma == std::string_view::npos) return urls;
        rest.remove_prefix(comma + 1);
    }
}

std::variant<PeerUrl, PeerUrlFlaw> parse_redis_url(std::string_view setting) {
    PeerUrlReader reader(setting, PeerKind::kRedis);
    if (!reader.read()) return flaw_of(reader, setting, 0);
    return reader.take();
}

std::string without_secrets(const PeerUrl& url) {
    const auto* const scheme = std::ranges::find_if(
        kSchemes, [&url](const Scheme& each) { return each.kind == url.kind && each.is_tls == url.is_tls; });
    std::string text(scheme->name);
    text += kSchemeEnd;
    const bool is_ipv6 = url.host.find(':') != std::string::npos;
    text += is_ipv6 ? "[" + url.host + "]" : url.host;
    text += ':' + std::to_string(url.port);
    if (url.database != 0) text += '/' + std::to_string(url.database);
    return text;
}

}  // namespace relay
