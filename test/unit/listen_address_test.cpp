// The setting telemetry_cqrs.http_listen.
#include <variant>

#include <gtest/gtest.h>

#include "runtime/listen_address.hpp"

namespace {

using runtime::ListenAddress;

std::vector<ListenAddress> good(std::string_view text) {
    auto parsed = runtime::parse_listen_addresses(text);
    EXPECT_TRUE(std::holds_alternative<std::vector<ListenAddress>>(parsed)) << text;
    return std::get<0>(std::move(parsed));
}

TEST(ListenAddress, ReadsEachForm) {
    EXPECT_TRUE(good("").empty());
    EXPECT_TRUE(good("  ").empty());
    EXPECT_EQ(good("8080"), (std::vector<ListenAddress>{{"", "127.0.0.1", 8080}}));
    EXPECT_EQ(good("0.0.0.0:1"), (std::vector<ListenAddress>{{"", "0.0.0.0", 1}}));
    EXPECT_EQ(good("[::1]:65535"), (std::vector<ListenAddress>{{"", "::1", 65535}}));
    EXPECT_EQ(good(" fleet = 8080 , lab=10.0.0.1:81 "),
              (std::vector<ListenAddress>{{"fleet", "127.0.0.1", 8080}, {"lab", "10.0.0.1", 81}}));
}

TEST(ListenAddress, RefusesEverythingElse) {
    for (const char* text : {"0", "65536", "80a", "-1", "localhost:80", "::1:80", "[127.0.0.1]:80", "1.2.3:80", "=80",
                             "a=", ",", "80,", "8080,8080", "a=8080,b=8080", "1.2.3.4:", ":80"})
        EXPECT_TRUE(std::holds_alternative<runtime::ListenFlaw>(runtime::parse_listen_addresses(text))) << text;
}

TEST(ListenAddress, GivesADatabaseItsOwnBeforeTheCommonOnes) {
    const char* text = "8080, fleet=8081, fleet=[::1]:8081";
    EXPECT_EQ(runtime::addresses_of("fleet", text),
              (std::vector<ListenAddress>{{"fleet", "127.0.0.1", 8081}, {"fleet", "::1", 8081}}));
    EXPECT_EQ(runtime::addresses_of("lab", text), (std::vector<ListenAddress>{{"", "127.0.0.1", 8080}}));
    EXPECT_TRUE(runtime::addresses_of("lab", "fleet=8081").empty());
    EXPECT_TRUE(runtime::addresses_of("lab", "no list").empty());
}

TEST(ListenAddress, IsWrittenAsClientsWriteIt) {
    EXPECT_EQ(runtime::text_of({"", "127.0.0.1", 80}), "127.0.0.1:80");
    EXPECT_EQ(runtime::text_of({"x", "::1", 80}), "[::1]:80");
}

}  // namespace
