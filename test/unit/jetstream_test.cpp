// The JSON of JetStream, as nats-server 2.9.10 sent it, is read. The request is what that server takes.
#include "relay/jetstream.hpp"

#include <string>

#include <gtest/gtest.h>

namespace {

using namespace std::chrono_literals;
using relay::JetStreamError;
using relay::JsonFlaw;
using relay::parse_publish_ack;
using relay::parse_stream_reply;
using relay::PublishAck;
using relay::StreamConfig;
using relay::StreamInfo;
using relay::StreamStorage;

template <typename Parsed>
std::string flaw_in(const Parsed& parsed) {
    const auto* flaw = std::get_if<JsonFlaw>(&parsed);
    return flaw == nullptr ? "none" : flaw->text;
}

TEST(JetStream, ReadsAcknowledgements) {
    auto ack = std::get<PublishAck>(parse_publish_ack(R"({"stream":"T", "seq":3})"));
    EXPECT_EQ(ack.stream, "T");
    EXPECT_EQ(ack.sequence, 3u);
    EXPECT_FALSE(ack.is_duplicate);
    ack = std::get<PublishAck>(
        parse_publish_ack(R"({"stream":"T", "domain":"hub", "seq":18446744073709551615,"duplicate": true})"));
    EXPECT_EQ(ack.sequence, UINT64_MAX);
    EXPECT_TRUE(ack.is_duplicate);
}

TEST(JetStream, ReadsErrors) {
    auto error = std::get<JetStreamError>(parse_publish_ack(
        R"({"error":{"code":400,"err_code":10060,"description":"expected stream does not match"},"stream":"T","seq":0})"));
    EXPECT_EQ(error.code, 400);
    EXPECT_EQ(error.err_code, 10060);
    EXPECT_EQ(error.description, "expected stream does not match");

    error = std::get<JetStreamError>(
        parse_stream_reply(R"({"type":"io.nats.jetstream.api.v1.stream_info_response","error":{"code":404,"err_code":10059,)"
                           R"("description":"stream not found"},"total":0,"offset":0,"limit":0})"));
    EXPECT_EQ(error.err_code, relay::kStreamNotFound);

    error = std::get<JetStreamError>(
        parse_stream_reply(R"({"type":"io.nats.jetstream.api.v1.stream_create_response","error":{"code":400,"err_code":10058,)"
                           R"("description":"stream name already in use with a different configuration"}})"));
    EXPECT_EQ(error.err_code, relay::kStreamNameInUse);

    EXPECT_EQ(std::get<JetStreamError>(parse_publish_ack(R"({"error":{"code":503}})")).err_code, 0);
}

TEST(JetStream, RefusesWrongAcknowledgements) {
    EXPECT_EQ(flaw_in(parse_publish_ack("{}")), "stream is missing");
    EXPECT_EQ(flaw_in(parse_publish_ack(R"({"stream":"T"})")), "seq is missing");
    EXPECT_EQ(flaw_in(parse_publish_ack(R"({"stream":"T","seq":-1})")), "seq is not a whole number in its range");
    EXPECT_EQ(flaw_in(parse_publish_ack(R"({"stream":7,"seq":1})")), "stream is not a string");
    EXPECT_EQ(flaw_in(parse_publish_ack(R"({"stream":"T","seq":1,"duplicate":"yes"})")), "duplicate is not true or false");
    EXPECT_EQ(flaw_in(parse_publish_ack(R"({"error":"no"})")), "error is not an object");
    EXPECT_EQ(flaw_in(parse_publish_ack(R"({"error":{}})")), "code is missing");
    EXPECT_EQ(flaw_in(parse_publish_ack(R"({"error":{"code":99999999999}})")), "code is not a whole number in its range");
    EXPECT_TRUE(flaw_in(parse_publish_ack("+ACK")).starts_with("it is not JSON: "));
}

const std::string kStreamInfo =
    R"({"type":"io.nats.jetstream.api.v1.stream_info_response","total":0,"offset":0,"limit":0,"config":{"name":"T",)"
    R"("subjects":["t.\u003e"],"retention":"limits","max_consumers":-1,"max_msgs":-1,"max_bytes":-1,"max_age":3600000000000,)"
    R"("max_msgs_per_subject":-1,"max_msg_size":-1,"discard":"old","storage":"file","num_replicas":3,)"
    R"("duplicate_window":120000000000,"allow_direct":false,"mirror_direct":false,"sealed":false},)"
    R"("created":"2026-11-27T19:55:38.482083745Z","state":{"messages":2,"bytes":38,"first_seq":5,)"
    R"("first_ts":"2026-11-27T19:55:38.484322758Z","last_seq":6,"consumer_count":0}})";

TEST(JetStream, ReadsAStream) {
    const auto info = std::get<StreamInfo>(parse_stream_reply(kStreamInfo));
    EXPECT_EQ(info.config.name, "T");
    EXPECT_EQ(info.config.subjects, std::vector<std::string>{"t.>"});
    EXPECT_EQ(info.config.storage, StreamStorage::kFile);
    EXPECT_EQ(info.config.num_replicas, 3);
    EXPECT_EQ(info.config.max_age, 1h);
    EXPECT_EQ(info.config.duplicate_window, 2min);
    EXPECT_EQ(info.messages, 2u);
    EXPECT_EQ(info.bytes, 38u);
    EXPECT_EQ(info.first_sequence, 5u);
    EXPECT_EQ(info.last_sequence, 6u);
}

TEST(JetStream, RefusesWrongStreams) {
    const auto with = [](std::string_view from, std::string_view to) {
        std::string json = kStreamInfo;
        return flaw_in(parse_stream_reply(json.replace(json.find(from), from.size(), to)));
    };
    EXPECT_EQ(with("\"config\"", "\"other\""), "config is missing");
    EXPECT_EQ(with("\"state\":{", "\"state\":7,\"other\":{"), "state is not an object");
    EXPECT_EQ(with("\"messages\"", "\"other\""), "messages is missing");
    EXPECT_EQ(with("\"file\"", "\"tape\""), "storage is neither file nor memory");
    EXPECT_EQ(with("120000000000", "9223372036854775808"), "duplicate_window is not a whole number in its range");
    EXPECT_EQ(with("[\"t.\\u003e\"]", "{}"), "subjects is not an array of strings");
}

TEST(JetStream, AsksForAStream) {
    StreamConfig config{.name = "T",
                        .subjects = {"telemetry.>", "a\"b"},
                        .storage = StreamStorage::kMemory,
                        .num_replicas = 3,
                        .max_age = 1h,
                        .duplicate_window = 2min};
    EXPECT_EQ(relay::stream_create_request(config),
              R"({"name":"T","subjects":["telemetry.>","a\"b"],"storage":"memory","retention":"limits","discard":"old",)"
              R"("max_consumers":-1,"max_msgs":-1,"max_bytes":-1,"num_replicas":3,"max_age":3600000000000,)"
              R"("duplicate_window":120000000000})");
    config = {.name = "T", .subjects = {}};
    EXPECT_EQ(relay::stream_create_request(config),
              R"({"name":"T","subjects":[],"storage":"file","retention":"limits","discard":"old","max_consumers":-1,)"
              R"("max_msgs":-1,"max_bytes":-1,"num_replicas":1,"max_age":0})");
    EXPECT_EQ(relay::stream_info_subject("T"), "$JS.API.STREAM.INFO.T");
    EXPECT_EQ(relay::stream_create_subject("T"), "$JS.API.STREAM.CREATE.T");
}

TEST(JetStream, KnowsNamesOfStreams) {
    for (const char* name : {"T", "TELEMETRY", "a-b_c", "a%$!"}) EXPECT_TRUE(relay::is_stream_name(name)) << name;
    for (const char* name : {"", "a.b", "a*", ">", "a b", "a/b", "a\\b", "a\r\nPUB x 0", "\x7f", "\xc3\xa9"})
        EXPECT_FALSE(relay::is_stream_name(name)) << name;
    EXPECT_TRUE(relay::is_stream_name(std::string(255, 'a')));
    EXPECT_FALSE(relay::is_stream_name(std::string(256, 'a')));
}

}  // namespace
