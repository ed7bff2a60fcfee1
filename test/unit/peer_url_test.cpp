// URLs of NATS and Redis are read as RFC 3986 says. Each mistake has its words and place, and no secret is ever shown.
#include "relay/peer_url.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace {

using relay::parse_nats_urls;
using relay::parse_redis_url;
using relay::PeerKind;
using relay::PeerUrl;
using relay::PeerUrlFlaw;

std::vector<PeerUrl> nats(std::string_view setting) {
    const auto parsed = parse_nats_urls(setting);
    if (const auto* flaw = std::get_if<PeerUrlFlaw>(&parsed)) {
        ADD_FAILURE() << flaw->text;
        return {PeerUrl{}};
    }
    return std::get<std::vector<PeerUrl>>(parsed);
}

PeerUrl redis(std::string_view setting) {
    const auto parsed = parse_redis_url(setting);
    if (const auto* flaw = std::get_if<PeerUrlFlaw>(&parsed)) {
        ADD_FAILURE() << flaw->text;
        return {};
    }
    return std::get<PeerUrl>(parsed);
}

std::string nats_flaw(std::string_view setting) {
    const auto parsed = parse_nats_urls(setting);
    const auto* flaw = std::get_if<PeerUrlFlaw>(&parsed);
    return flaw == nullptr ? "none" : flaw->text;
}

std::string redis_flaw(std::string_view setting) {
    const auto parsed = parse_redis_url(setting);
    const auto* flaw = std::get_if<PeerUrlFlaw>(&parsed);
    return flaw == nullptr ? "none" : flaw->text;
}

PeerUrl nats_at(std::string host, std::uint16_t port) {
    PeerUrl url;
    url.host = std::move(host);
    url.port = port;
    return url;
}

TEST(PeerUrl, HasDefaults) {
    EXPECT_EQ(nats("nats://localhost"), std::vector{nats_at("localhost", 4222)});
    const PeerUrl url = redis("redis://localhost");
    EXPECT_EQ(url.kind, PeerKind::kRedis);
    EXPECT_EQ(url.port, 6379);
    EXPECT_EQ(url.database, 0);
    EXPECT_FALSE(url.is_tls);
}

TEST(PeerUrl, ReadsAList) {
    const auto urls = nats(" nats://a.example:4223 ,tls://10.0.0.1/,\n nats://[::1]:1");
    ASSERT_EQ(urls.size(), 3u);
    EXPECT_EQ(urls[0], nats_at("a.example", 4223));
    EXPECT_TRUE(urls[1].is_tls);
    EXPECT_EQ(urls[1].host, "10.0.0.1");
    EXPECT_EQ(urls[1].port, 4222);
    EXPECT_EQ(urls[2], nats_at("::1", 1));
}

TEST(PeerUrl, ReadsCredentials) {
    auto url = nats("nats://us%3Aer:p%40ss%2f%25:w@rd@h")[0];
    EXPECT_EQ(url.user, "us:er");
    EXPECT_EQ(url.password, "p@ss/%:w@rd");
    EXPECT_EQ(url.token, "");
    EXPECT_EQ(url.host, "h");

    url = nats("tls://s3cr3t%2C@h:5")[0];
    EXPECT_EQ(url.token, "s3cr3t,");
    EXPECT_EQ(url.user + url.password, "");
    EXPECT_EQ(url.port, 5);
}

TEST(PeerUrl, ReadsRedis) {
    auto url = redis("rediss://user:%C3%A9@[2001:db8::7]:6380/15");
    EXPECT_TRUE(url.is_tls);
    EXPECT_EQ(url.user, "user");
    EXPECT_EQ(url.password, "\xc3\xa9");
    EXPECT_EQ(url.host, "2001:db8::7");
    EXPECT_EQ(url.port, 6380);
    EXPECT_EQ(url.database, 15);

    url = redis("redis://:secret@h/");
    EXPECT_EQ(url.user, "");
    EXPECT_EQ(url.password, "secret");
    EXPECT_EQ(url.database, 0);
}

TEST(PeerUrl, SaysWhatIsWrongAndWhere) {
    EXPECT_EQ(nats_flaw(""), "the URL is empty (URL 1, byte 1)");
    EXPECT_EQ(nats_flaw("nats://a,,nats://b"), "the URL is empty (URL 2, byte 10)");
    EXPECT_EQ(nats_flaw("nats://a, "), "the URL is empty (URL 2, byte 11)");
    EXPECT_EQ(nats_flaw("localhost:4222"), "the URL begins neither with nats:// nor with tls:// (URL 1, byte 1)");
    EXPECT_EQ(nats_flaw("redis://h"), "the URL begins neither with nats:// nor with tls:// (URL 1, byte 1)");
    EXPECT_EQ(nats_flaw("nats://"), "the host is missing (URL 1, byte 8)");
    EXPECT_EQ(nats_flaw("nats://:4222"), "the host is missing (URL 1, byte 8)");
    EXPECT_EQ(nats_flaw("nats://a b"), "the host is neither a name nor an address (URL 1, byte 8)");
    EXPECT_EQ(nats_flaw("nats://" + std::string(254, 'a')), "the host is neither a name nor an address (URL 1, byte 8)");
    EXPECT_EQ(nats_flaw("nats://::1"), "the host is missing (URL 1, byte 8)");
    EXPECT_EQ(nats_flaw("nats://[::g]"), "the brackets do not hold an IPv6 address (URL 1, byte 8)");
    EXPECT_EQ(nats_flaw("nats://[::1"), "the brackets do not hold an IPv6 address (URL 1, byte 8)");
    EXPECT_EQ(nats_flaw("nats://[127.0.0.1]"), "the brackets do not hold an IPv6 address (URL 1, byte 8)");
    EXPECT_EQ(nats_flaw(std::string_view("nats://[::1\0]", 13)), "the brackets do not hold an IPv6 address (URL 1, byte 8)");
    EXPECT_EQ(nats_flaw("nats://[::1]4222"), "only a port may follow the brackets (URL 1, byte 13)");
    for (const char* port : {"", "0", "65536", "-1", "+1", "4222x", "x", "99999999999999999999"})
        EXPECT_EQ(nats_flaw(std::string("nats://h:") + port), "the port is not a number from 1 to 65535 (URL 1, byte 10)");
    EXPECT_EQ(nats_flaw("nats://h:1,nats://h:x"), "the port is not a number from 1 to 65535 (URL 2, byte 21)");
    EXPECT_EQ(nats_flaw("nats://h/x"), "something follows the host and the port (URL 1, byte 9)");
    EXPECT_EQ(nats_flaw("nats://h?x"), "something follows the host and the port (URL 1, byte 9)");

    EXPECT_EQ(nats_flaw("nats://@h"), "the token before the @ is missing (URL 1, byte 8)");
    EXPECT_EQ(nats_flaw("nats://:p@h"), "the user is missing (URL 1, byte 8)");
    EXPECT_EQ(nats_flaw("nats://u:@h"), "the password is missing (URL 1, byte 10)");
    EXPECT_EQ(nats_flaw("nats://u:pa%4@h"), "two hexadecimal digits are missing after a % (URL 1, byte 12)");
    EXPECT_EQ(nats_flaw("nats://u%zz:p@h"), "two hexadecimal digits are missing after a % (URL 1, byte 9)");
    EXPECT_EQ(nats_flaw("nats://u:p%0A@h"), "there is a control character before the @ (URL 1, byte 11)");
    EXPECT_EQ(nats_flaw("nats://u:a/b@h"), "the /, ? or # in the part before the @ is not written as %XX (URL 1, byte 11)");
    EXPECT_EQ(nats_flaw("nats://" + std::string(512, 't') + "@h"), "none");
    EXPECT_EQ(nats_flaw("nats://" + std::string(513, 't') + "@h"),
              "the user, password or token has more than 512 bytes (URL 1, byte 520)");

    EXPECT_EQ(redis_flaw(" "), "the URL is empty (byte 2)");
    EXPECT_EQ(redis_flaw("nats://h"), "the URL begins neither with redis:// nor with rediss:// (byte 1)");
    EXPECT_EQ(redis_flaw("redis://name@h"), "the part before the @ is not user:password or :password (byte 9)");
    EXPECT_EQ(redis_flaw("redis://:@h"), "the password is missing (byte 10)");
    for (const char* path : {"/x", "/-1", "/1/", "//", "/99999999999", "?db=1", "#1"})
        EXPECT_EQ(redis_flaw(std::string("redis://h") + path),
                  "something else than the number of a database follows the host and the port (byte 10)");
}

TEST(PeerUrl, ShowsNoSecret) {
    EXPECT_EQ(without_secrets(nats("nats://user:secret@h")[0]), "nats://h:4222");
    EXPECT_EQ(without_secrets(nats("tls://secret@[::1]:1")[0]), "tls://[::1]:1");
    EXPECT_EQ(without_secrets(redis("rediss://user:secret@h/3")), "rediss://h:6379/3");
    EXPECT_EQ(without_secrets(redis("redis://h/0")), "redis://h:6379");
    for (const char* setting :
         {"nats://user:secret", "secret@h", "nats://user:secret:h", "nats://user:secret@", "nats://u:secret/@h",
          "nats://u:secret@[h", "nats://h:secret", "nats://h/secret", "nats://u:%secret@h"})
        EXPECT_EQ(nats_flaw(setting).find("secret"), std::string::npos) << setting;
}

}  // namespace
