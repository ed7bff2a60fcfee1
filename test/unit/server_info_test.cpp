// INFO is read as the NATS documentation says, and wrong JSON is a flaw.
#include "relay/server_info.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace {

using relay::JsonFlaw;
using relay::parse_server_info;
using relay::ServerInfo;

std::string flaw_in(std::string_view json) {
    const auto parsed = parse_server_info(json);
    const auto* flaw = std::get_if<JsonFlaw>(&parsed);
    return flaw == nullptr ? "none" : flaw->text;
}

TEST(ServerInfo, ReadsTheExampleOfTheDocumentation) {
    const auto info = std::get<ServerInfo>(parse_server_info(
        R"({"server_id":"Zk0GQ3JBSrg3oyxCRRlE09","version":"1.2.0","proto":1,"go":"go1.10.3","host":"0.0.0.0","port":4222,)"
        R"("max_payload":1048576,"client_id":2392})"));
    EXPECT_EQ(info.server_id, "Zk0GQ3JBSrg3oyxCRRlE09");
    EXPECT_EQ(info.version, "1.2.0");
    EXPECT_EQ(info.max_payload, 1048576u);
    EXPECT_TRUE(info.connect_urls.empty());
    EXPECT_EQ(info.nonce, "");
    EXPECT_FALSE(info.has_headers || info.has_jetstream || info.is_auth_required || info.is_tls_required ||
                 info.is_tls_available || info.is_leaving);
}

TEST(ServerInfo, ReadsEverything) {
    const auto info = std::get<ServerInfo>(parse_server_info(
        R"({"server_id":"A","server_name":"n\u00e9","version":"2.9.10","headers":true,"jetstream":true,"auth_required":true,)"
        R"("tls_required":true,"tls_available":true,"ldm":true,"nonce":"x","max_payload":18446744073709551615,)"
        R"("connect_urls":["10.0.0.184:4333","192.168.129.1:4333"],"cluster":null})"));
    EXPECT_EQ(info.server_name, "n\xc3\xa9");
    EXPECT_EQ(info.nonce, "x");
    EXPECT_EQ(info.max_payload, UINT64_MAX);
    EXPECT_EQ(info.connect_urls, (std::vector<std::string>{"10.0.0.184:4333", "192.168.129.1:4333"}));
    EXPECT_TRUE(info.has_headers && info.has_jetstream && info.is_auth_required && info.is_tls_required &&
                info.is_tls_available && info.is_leaving);
}

TEST(ServerInfo, RefusesWrongMembers) {
    EXPECT_EQ(flaw_in(R"({"max_payload":1})"), "server_id is missing");
    EXPECT_EQ(flaw_in(R"({"server_id":null,"max_payload":1})"), "server_id is missing");
    EXPECT_EQ(flaw_in(R"({"server_id":"A"})"), "max_payload is missing");
    EXPECT_EQ(flaw_in(R"({"server_id":1,"max_payload":1})"), "server_id is not a string");
    for (const std::string number : {"-1", "1.5", "1e3", "18446744073709551616", "\"1\"", "true"})
        EXPECT_EQ(flaw_in(R"({"server_id":"A","max_payload":)" + number + "}"),
                  "max_payload is not a whole number in its range");
    EXPECT_EQ(flaw_in(R"({"server_id":"A","max_payload":1,"headers":1})"), "headers is not true or false");
    EXPECT_EQ(flaw_in(R"({"server_id":"A","max_payload":1,"connect_urls":"a"})"), "connect_urls is not an array of strings");
    EXPECT_EQ(flaw_in(R"({"server_id":"A","max_payload":1,"connect_urls":["a",1]})"),
              "connect_urls is not an array of strings");
}

TEST(ServerInfo, RefusesWhatIsNoObject) {
    EXPECT_EQ(flaw_in("[]"), "it is not a JSON object");
    EXPECT_EQ(flaw_in("null"), "it is not a JSON object");
    const std::string good = R"("server_id":"A","max_payload":1)";
    ASSERT_EQ(flaw_in("{" + good + "}"), "none");
    const std::vector<std::string> wrong = {"",
                                            "{",
                                            "{" + good,
                                            "{" + good + "}}",
                                            "{" + good + ",}",
                                            "{" + good + ",\"a\":\"\xff\"}",
                                            "{" + good + ",\"a\":\"\\ud800\"}",
                                            "{" + good + ",\"a\":NaN}",
                                            {"{}\0", 3}};
    for (const std::string& json : wrong) EXPECT_TRUE(flaw_in(json).starts_with("it is not JSON: ")) << json;
}

TEST(ServerInfo, RefusesDeepNesting) {
    const auto nested = [](std::size_t depth) {
        return R"({"server_id":"A","max_payload":1,"a":)" + std::string(depth, '[') + std::string(depth, ']') + "}";
    };
    EXPECT_EQ(flaw_in(nested(10)), "none");
    EXPECT_TRUE(flaw_in(nested(20)).starts_with("it is not JSON: "));
    EXPECT_TRUE(flaw_in(nested(500'000)).starts_with("it is not JSON: "));
}

}  // namespace
