// Operations have the exact bytes of the NATS protocol. Most are examples of its documentation.
#include "relay/nats_commands.hpp"

#include <string>

#include <gtest/gtest.h>

namespace {

TEST(NatsCommands, Connects) {
    std::string bytes;
    relay::append_connect(bytes, {});
    EXPECT_EQ(bytes,
              "CONNECT {\"verbose\":false,\"pedantic\":false,\"tls_required\":false,\"lang\":\"C++\",\"protocol\":1,"
              "\"headers\":true,\"no_responders\":true}\r\n");
    bytes.clear();
    relay::append_connect(bytes, {.name = "telemetry_cqrs a\"b",
                                  .version = "1.2",
                                  .user = "u",
                                  .password = "p\\\r\n\xc3\xa9",
                                  .token = {},
                                  .is_tls_required = true});
    EXPECT_EQ(bytes,
              "CONNECT {\"verbose\":false,\"pedantic\":false,\"tls_required\":true,\"lang\":\"C++\",\"protocol\":1,"
              "\"headers\":true,\"no_responders\":true,\"name\":\"telemetry_cqrs a\\\"b\",\"version\":\"1.2\","
              "\"user\":\"u\",\"pass\":\"p\\\\\\r\\n\\u00e9\"}\r\n");
    bytes.clear();
    relay::append_connect(bytes, {.name = {}, .version = {}, .user = {}, .password = {}, .token = "s3cr3t"});
    EXPECT_TRUE(bytes.ends_with(",\"auth_token\":\"s3cr3t\"}\r\n"));
}

TEST(NatsCommands, Publishes) {
    std::string bytes = "before";
    relay::append_publish(bytes, "FOO", "", "Hello NATS!");
    EXPECT_EQ(bytes, "beforePUB FOO 11\r\nHello NATS!\r\n");
    bytes.clear();
    relay::append_publish(bytes, "FRONT.DOOR", "INBOX.22", "Knock Knock");
    relay::append_publish(bytes, "NOTIFY", "", "");
    EXPECT_EQ(bytes, "PUB FRONT.DOOR INBOX.22 11\r\nKnock Knock\r\nPUB NOTIFY 0\r\n\r\n");
}

TEST(NatsCommands, PublishesWithAnId) {
    std::string bytes;
    relay::append_publish_with_id(bytes, "A.B", "_INBOX.x.7", "42-0f", "{}");
    // "NATS/1.0" has 8 bytes, "Nats-Msg-Id: 42-0f" has 18, and three line ends have 6.
    EXPECT_EQ(bytes, "HPUB A.B _INBOX.x.7 32 34\r\nNATS/1.0\r\nNats-Msg-Id: 42-0f\r\n\r\n{}\r\n");
    bytes.clear();
    relay::append_publish_with_id(bytes, "A", "", "1", "");
    EXPECT_EQ(bytes, "HPUB A 28 28\r\nNATS/1.0\r\nNats-Msg-Id: 1\r\n\r\n\r\n");
}

TEST(NatsCommands, Subscribes) {
    std::string bytes;
    relay::append_subscribe(bytes, "FOO", 1);
    relay::append_subscribe(bytes, "_INBOX.x.*", UINT64_MAX);
    EXPECT_EQ(bytes, "SUB FOO 1\r\nSUB _INBOX.x.* 18446744073709551615\r\n");
    bytes.clear();
    relay::append_unsubscribe(bytes, 1);
    relay::append_unsubscribe(bytes, 1, 5);
    EXPECT_EQ(bytes, "UNSUB 1\r\nUNSUB 1 5\r\n");
}

TEST(NatsCommands, KeepsTheConnectionAlive) {
    std::string bytes;
    relay::append_ping(bytes);
    relay::append_pong(bytes);
    EXPECT_EQ(bytes, "PING\r\nPONG\r\n");
}

}  // namespace
