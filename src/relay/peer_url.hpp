// Reads the URLs of the settings that name NATS and Redis, and shows them without their secrets.
//
//   nats://[user:password@ | token@]host[:port]        tls:// asks for TLS; port 4222. The setting is a list with commas.
//   redis://[[user]:password@]host[:port][/database]   rediss:// asks for TLS; port 6379, database 0
//
// An IPv6 address stands in brackets. In user, password and token a %XX is a byte. A slash, question mark, number sign, percent
// or comma is written in this way, and a colon in a user or token; all other characters stand for themselves.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace relay {

inline constexpr std::size_t kMaxCredentialSize = 512;  // bytes of a user, password or token; CONNECT is one line

enum class PeerKind { kNats, kRedis };

struct PeerUrl {
    PeerKind kind = PeerKind::kNats;
    bool is_tls = false;
    std::string user, password, token;  // empty: none
    std::string host;                   // a name or an address; IPv6 without brackets
    std::uint16_t port = 0;
    int database = 0;

    friend bool operator==(const PeerUrl&, const PeerUrl&) = default;
};

// The first thing that is wrong with a setting, such as "the port is not a number from 1 to 65535 (URL 2, byte 37)". It quotes
// nothing, because a mistake can put a password anywhere.
struct PeerUrlFlaw {
    std::string text;
};

// At least one URL. Blanks around each one are allowed.
std::variant<std::vector<PeerUrl>, PeerUrlFlaw> parse_nats_urls(std::string_view setting);
std::variant<PeerUrl, PeerUrlFlaw> parse_redis_url(std::string_view setting);

// The URL with its port, and without user, password and token: "tls://[::1]:4222". For logs and views.
std::string without_secrets(const PeerUrl& url);

}  // namespace relay
