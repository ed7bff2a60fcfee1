// The parser reads the examples of the NATS protocol's documentation, in chunks of any size, and keeps its limits to the byte.
#include "relay/nats_parser.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace {

using relay::NatsFlaw;
using relay::NatsFrame;
using relay::NatsFrameKind;
using relay::NatsLimits;
using relay::NatsParser;

// The only frame of `bytes`. It is a view into them.
NatsFrame only_frame(std::string_view bytes) {
    NatsParser parser{NatsLimits{}};
    const auto frame = parser.next(bytes);
    EXPECT_TRUE(frame);
    EXPECT_TRUE(bytes.empty());
    return frame.value_or(NatsFrame{});
}

NatsFlaw flaw_of(std::string_view bytes, const NatsLimits& limits = {}) {
    NatsParser parser(limits);
    while (parser.next(bytes)) continue;
    return parser.flaw();
}

TEST(NatsParser, ReadsInfo) {
    const auto frame = only_frame("INFO {\"server_id\":\"Zk0GQ3JBSrg3oyxCRRlE09\",\"proto\":1} \r\n");
    EXPECT_EQ(frame.kind, NatsFrameKind::kInfo);
    EXPECT_EQ(frame.text, R"({"server_id":"Zk0GQ3JBSrg3oyxCRRlE09","proto":1})");
}

TEST(NatsParser, ReadsAMessage) {
    auto frame = only_frame("MSG FOO.BAR 9 11\r\nHello World\r\n");
    EXPECT_EQ(frame.kind, NatsFrameKind::kMessage);
    EXPECT_EQ(frame.subject, "FOO.BAR");
    EXPECT_EQ(frame.sid, 9u);
    EXPECT_EQ(frame.reply, "");
    EXPECT_EQ(frame.payload, "Hello World");
    EXPECT_EQ(frame.status, 0);
    EXPECT_EQ(frame.headers, "");

    frame = only_frame("MSG FOO.BAR 9 INBOX.34 11\r\nHello World\r\n");
    EXPECT_EQ(frame.reply, "INBOX.34");
    EXPECT_EQ(frame.payload, "Hello World");

    EXPECT_EQ(only_frame("MSG NOTIFY 1 0\r\n\r\n").payload, "");
    EXPECT_EQ(only_frame("MSG A 1 4\r\n\r\n\r\n\r\n").payload, "\r\n\r\n");
}

TEST(NatsParser, ReadsAMessageWithHeaders) {
    auto frame = only_frame("HMSG FOO.BAR 9 34 45\r\nNATS/1.0\r\nFoodGroup: vegetable\r\n\r\nHello World\r\n");
    EXPECT_EQ(frame.kind, NatsFrameKind::kMessage);
    EXPECT_EQ(frame.reply, "");
    EXPECT_EQ(frame.status, 0);
    EXPECT_EQ(frame.headers, "FoodGroup: vegetable\r\n");
    EXPECT_EQ(frame.payload, "Hello World");

    frame = only_frame("HMSG FOO.BAR 9 INBOX.69 34 45\r\nNATS/1.0\r\nFoodGroup: vegetable\r\n\r\nHello World\r\n");
    EXPECT_EQ(frame.reply, "INBOX.69");
    EXPECT_EQ(frame.headers, "FoodGroup: vegetable\r\n");
}

TEST(NatsParser, ReadsAStatus) {
    auto frame = only_frame("HMSG _INBOX.1 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n");
    EXPECT_EQ(frame.status, 503);
    EXPECT_EQ(frame.description, "");
    EXPECT_EQ(frame.headers, "");
    EXPECT_EQ(frame.payload, "");

    frame = only_frame("HMSG _INBOX.1 1 42 44\r\nNATS/1.0 100 Idle Heartbeat\r\nName: v 1\r\n\r\nxy\r\n");
    EXPECT_EQ(frame.status, 100);
    EXPECT_EQ(frame.description, "Idle Heartbeat");
    EXPECT_EQ(frame.headers, "Name: v 1\r\n");
    EXPECT_EQ(frame.payload, "xy");
}

TEST(NatsParser, DeliversAMessageWhoseHeadersAreNotWellFormed) {
    for (const std::string block : {"Name: v\r\n\r\n", "NATS/1.0\r\n", "NATS/1.0 what\r\n\r\n", "NATS/1.0503\r\n\r\n", ""}) {
        const auto size = std::to_string(block.size());
        const std::string bytes = "HMSG A 1 " + size + " " + std::to_string(block.size() + 1) + "\r\n" + block + "x\r\n";
        const auto frame = only_frame(bytes);
        EXPECT_EQ(frame.status, 0) << block;
        EXPECT_EQ(frame.headers, "") << block;
        EXPECT_EQ(frame.payload, "x") << block;
    }
}

TEST(NatsParser, ReadsTheOperationsWithoutPayload) {
    EXPECT_EQ(only_frame("PING\r\n").kind, NatsFrameKind::kPing);
    EXPECT_EQ(only_frame("PONG\r\n").kind, NatsFrameKind::kPong);
    EXPECT_EQ(only_frame("+OK\r\n").kind, NatsFrameKind::kOk);
    const auto frame = only_frame("-ERR 'Unknown Protocol Operation'\r\n");
    EXPECT_EQ(frame.kind, NatsFrameKind::kError);
    EXPECT_EQ(frame.text, "Unknown Protocol Operation");
    EXPECT_EQ(only_frame("-ERR '\r\n").text, "'");
    EXPECT_EQ(only_frame("-ERR\r\n").text, "");
}

TEST(NatsParser, TakesOperationsInAnyCaseAndBlanksInAnyNumber) {
    EXPECT_EQ(only_frame("ping\r\n").kind, NatsFrameKind::kPing);
    EXPECT_EQ(only_frame("+ok\n").kind, NatsFrameKind::kOk);
    EXPECT_EQ(only_frame("-err 'x'\r\n").text, "x");
    EXPECT_EQ(only_frame("Info\t{}\r\n").text, "{}");
    const auto frame = only_frame("msg \t FOO\t 7  R   2 \r\nab\r\n");
    EXPECT_EQ(frame.subject, "FOO");
    EXPECT_EQ(frame.sid, 7u);
    EXPECT_EQ(frame.reply, "R");
    EXPECT_EQ(frame.payload, "ab");
}

TEST(NatsParser, ChunksMakeNoDifference) {
    const std::string stream =
        "INFO {}\r\nPING\r\nMSG A 1 5\r\nab\r\nc\r\nHMSG B 2 R 16 18\r\nNATS/1.0 503\r\n\r\nxy\r\n-ERR 'Stale "
        "Connection'\r\nPONG\r\n";
    for (std::size_t size = 1; size <= stream.size(); ++size) {
        NatsParser parser{NatsLimits{}};
        std::vector<std::string> seen;
        for (std::size_t begin = 0; begin < stream.size(); begin += size) {
            // A copy of its own lets ASan see a view that outlives its chunk.
            const std::string chunk = stream.substr(begin, size);
            std::string_view input = chunk;
            while (const auto frame = parser.next(input)) {
                seen.push_back(std::string(frame->text) + "|" + std::string(frame->subject) + "|" + std::string(frame->reply) +
                               "|" + std::to_string(frame->status) + "|" + std::string(frame->payload));
            }
            ASSERT_TRUE(input.empty());
        }
        EXPECT_EQ(parser.flaw(), NatsFlaw::kNone);
        const std::vector<std::string> expected = {"{}|||0|", "|||0|", "|A||0|ab\r\nc", "|B|R|503|xy", "Stale Connection|||0|",
                                                   "|||0|"};
        EXPECT_EQ(seen, expected) << size;
    }
}

TEST(NatsParser, DoesNotCopyAFrameThatIsInOneChunk) {
    const std::string bytes = "MSG A 1 2\r\nab\r\nPI";
    std::string_view input = bytes;
    NatsParser parser{NatsLimits{}};
    const auto frame = parser.next(input);
    ASSERT_TRUE(frame);
    EXPECT_EQ(frame->payload.data(), bytes.data() + 11);
    EXPECT_EQ(input, "PI");
}

TEST(NatsParser, RefusesWhatIsNoOperation) {
    EXPECT_EQ(flaw_of("HTTP/1.1 400 Bad Request\r\n"), NatsFlaw::kUnknownOperation);
    EXPECT_EQ(flaw_of("\r\n"), NatsFlaw::kUnknownOperation);
    EXPECT_EQ(flaw_of("PINGS\r\n"), NatsFlaw::kUnknownOperation);
    EXPECT_EQ(flaw_of("PUB A 0\r\n\r\n"), NatsFlaw::kUnknownOperation);
}

TEST(NatsParser, RefusesWrongArguments) {
    for (const char* line : {"MSG", "MSG A 1", "MSG A 1 R 2 3", "MSG A x 2", "MSG A 1 -2", "MSG A 1 2x", "MSG A -1 2",
                             "MSG A 1 99999999999999999999", "HMSG A 1 2", "HMSG A 1 12 4", "HMSG A 1 R S 12 14",
                             "HMSG A 1 x 14", "MSG A B C D E F G"})
        EXPECT_EQ(flaw_of(std::string(line) + "\r\n"), NatsFlaw::kBadArguments) << line;
}

TEST(NatsParser, RefusesAPayloadOfAnotherSize) {
    EXPECT_EQ(flaw_of("MSG A 1 2\r\nabc\r\n"), NatsFlaw::kMissingLineEnd);
    EXPECT_EQ(flaw_of("MSG A 1 2\r\na\r\n\n"), NatsFlaw::kMissingLineEnd);
}

TEST(NatsParser, KeepsItsLimitsToTheByte) {
    const NatsLimits limits{.max_control_line = 10, .max_info = 12, .max_message = 3};
    EXPECT_EQ(flaw_of("MSG AB 1 3\nabc\r\n", limits), NatsFlaw::kNone);
    EXPECT_EQ(flaw_of("MSG ABC 1 3\nabc\r\n", limits), NatsFlaw::kLineTooLong);
    EXPECT_EQ(flaw_of("MSG AB 1 4\n", limits), NatsFlaw::kMessageTooLarge);
    EXPECT_EQ(flaw_of("INFO 78901234\n", limits), NatsFlaw::kLineTooLong);
    EXPECT_EQ(flaw_of("INFO 7890123\n", limits), NatsFlaw::kNone);
    // Without an end the parser does not wait for more than the limit.
    EXPECT_EQ(flaw_of("MSG ABCDEF", limits), NatsFlaw::kNone);
    EXPECT_EQ(flaw_of("MSG ABCDEFG", limits), NatsFlaw::kLineTooLong);
}

TEST(NatsParser, GivesNothingMoreAfterAFlaw) {
    NatsParser parser{NatsLimits{}};
    std::string_view input = "PING\r\nWHAT\r\nPING\r\n";
    EXPECT_TRUE(parser.next(input));
    EXPECT_FALSE(parser.next(input));
    EXPECT_FALSE(parser.next(input));
    EXPECT_EQ(parser.flaw(), NatsFlaw::kUnknownOperation);
    EXPECT_FALSE(words_of(parser.flaw()).empty());
}

}  // namespace
