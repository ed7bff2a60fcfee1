// The parser of requests: what it takes, what it refuses, and that neither depends on how the bytes are cut.
#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "http/request_parser.hpp"

namespace {

struct Outcome {
    int flaw = 0;  // status; 0: none
    std::optional<http::Request> request;
    std::size_t used = 0;
};

// Gives the parser pieces of at most `piece` bytes, as a connection does.
Outcome parse(std::string_view bytes, std::size_t piece, std::size_t most_body_bytes = 1000) {
    http::RequestParser parser(most_body_bytes);
    Outcome outcome;
    std::string input;
    for (std::size_t begin = 0; begin < bytes.size() && !parser.is_complete() && !parser.flaw(); begin += piece) {
        input += bytes.substr(begin, piece);
        const std::size_t used = parser.take(input);
        outcome.used += used;
        input.erase(0, used);
    }
    if (parser.flaw()) outcome.flaw = parser.flaw()->status;
    if (parser.is_complete()) outcome.request = parser.request();
    return outcome;
}

TEST(RequestParser, TakesARequestApart) {
    const Outcome outcome = parse(
        "POST /devices/a%2Fb/stats?limit=5&live HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer t\r\nContent-Type: "
        "application/json\r\n"
        "Accept-Encoding: br, gzip\r\nIdempotency-Key: \"k\"\r\nIf-None-Match: \"e\"\r\nLast-Event-ID: 7-8\r\nOrigin: "
        "http://o\r\n"
        "Content-Length: 4\r\n\r\nbodyGET",
        1000);
    ASSERT_TRUE(outcome.request);
    const http::Request& request = *outcome.request;
    EXPECT_EQ(request.method, http::Method::kPost);
    EXPECT_EQ(request.target.path, (std::vector<std::string>{"devices", "a/b", "stats"}));
    ASSERT_NE(request.target.find("limit"), nullptr);
    EXPECT_EQ(*request.target.find("limit"), "5");
    EXPECT_EQ(*request.target.find("live"), "");
    EXPECT_EQ(request.target.find("other"), nullptr);
    EXPECT_EQ(request.authorization, "Bearer t");
    EXPECT_EQ(request.content_type, "application/json");
    EXPECT_TRUE(request.accepts_gzip);
    EXPECT_TRUE(request.has_idempotency_key);
    EXPECT_EQ(request.idempotency_key, "\"k\"");
    EXPECT_EQ(request.if_none_match, "\"e\"");
    EXPECT_EQ(request.last_event_id, "7-8");
    EXPECT_EQ(request.origin, "http://o");
    EXPECT_EQ(request.body, "body");
    EXPECT_TRUE(request.keeps_alive);
}

TEST(RequestParser, LeavesTheNextRequestAlone) {
    const std::string first = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
    const Outcome outcome = parse(first + "GET /b HTTP/1.1\r\nHost: x\r\n\r\n", 1000);
    ASSERT_TRUE(outcome.request);
    EXPECT_EQ(outcome.used, first.size());
}

TEST(RequestParser, KeepsAliveOnlyWhereTheClientWantsIt) {
    EXPECT_TRUE(parse("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 100).request->keeps_alive);
    EXPECT_FALSE(parse("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 100).request->keeps_alive);
    EXPECT_FALSE(parse("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 100).request->keeps_alive);
}

struct Case {
    const char* name;
    std::string bytes;
    int flaw;          // 0: it is a request
    const char* body;  // of that request
};

// Pairs of lengths and codings that two parsers could read in two ways are refused, and so is what no server should guess.
const Case kCases[] = {
    {"length", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcde", 0, "abcde"},
    {"chunks", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nA: b\r\n\r\n",
     0, "abcde"},
    {"length, then chunks", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     400, ""},
    {"chunks, then length", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
     400, ""},
    {"two lengths", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef", 400, ""},
    {"the same length twice", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nabcde", 400, ""},
    {"a list of the same length", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5, 5\r\n\r\nabcde", 400, ""},
    {"a sign", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\nabcde", 400, ""},
    {"a negative length", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\nabcde", 400, ""},
    {"a length beyond all", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\nabcde", 400, ""},
    {"another coding", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\nabcde", 501, ""},
    {"two codings", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 501, ""},
    {"identity and a length", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nabcde",
     501, ""},
    {"chunked twice", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     400, ""},
    {"chunks of HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 400, ""},
    {"a space before the colon", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length : 5\r\n\r\nabcde", 400, ""},
    {"lines without CR", "GET / HTTP/1.1\nHost: x\n\n", 505, ""},
    {"a lone CR", "GET / HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n", 400, ""},
    {"a NUL", std::string("GET / HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n", 35), 400, ""},
    {"a size with a prefix", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n", 400,
     ""},
    {"a chunk beyond all", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\nabc", 400, ""},
    {"a chunk without its end", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcX0\r\n\r\n", 400, ""},
    {"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, ""},
    {"a target without a path", "GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n", 400, ""},
    {"an asterisk", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 400, ""},
    {"a percent sign alone", "GET /a%2 HTTP/1.1\r\nHost: x\r\n\r\n", 400, ""},
    {"an encoded NUL", "GET /a%00 HTTP/1.1\r\nHost: x\r\n\r\n", 400, ""},
    {"a head too long", "GET / HTTP/1.1\r\nHost: x\r\nA: " + std::string(20000, 'a') + "\r\n\r\n", 431, ""},
    {"a line too long", "GET /" + std::string(20000, 'a') + " HTTP/1.1\r\nHost: x\r\n\r\n", 431, ""},
    {"a body too large", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n", 413, ""},
    {"chunks too large",
     "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" + std::string(1001, 'a') + "\r\n0\r\n\r\n", 413,
     ""},
    {"no bytes in chunks", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0, ""},
    {"a quote that does not end in its line", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3;a=\"\r\nabc",
     400, ""},
    {"no host", "GET / HTTP/1.1\r\n\r\n", 400, ""},
    {"two hosts", "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400, ""},
    {"the same host twice", "GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", 400, ""},
    {"HTTP/1.0 without a host", "GET / HTTP/1.0\r\n\r\n", 0, ""},
    {"a chunk with a line too long",
     "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3;" + std::string(20000, 'a'), 431, ""},
    {"fields too long behind the chunks",
     "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: " + std::string(20000, 'a'), 431, ""},
};

TEST(RequestParser, RefusesWhatTwoParsersCouldReadInTwoWays) {
    for (const Case& each : kCases) {
        const Outcome outcome = parse(each.bytes, each.bytes.size());
        EXPECT_EQ(outcome.flaw, each.flaw) << each.name;
        if (each.flaw != 0 || !outcome.request) continue;
        EXPECT_EQ(outcome.request->body, each.body) << each.name;
    }
}

TEST(RequestParser, ReadsTheSameHoweverTheBytesAreCut) {
    for (const Case& each : kCases) {
        for (const std::size_t piece : {std::size_t{1}, std::size_t{2}, std::size_t{7}, std::size_t{100}}) {
            const Outcome outcome = parse(each.bytes, piece);
            // Of bad bytes the flaw may show later, but no request comes of them.
            EXPECT_TRUE(outcome.flaw == each.flaw || !outcome.request) << each.name << ", " << piece;
            EXPECT_EQ(outcome.request.has_value() && outcome.flaw == 0, each.flaw == 0) << each.name << ", " << piece;
            if (each.flaw != 0 || !outcome.request) continue;
            EXPECT_EQ(outcome.request->body, each.body) << each.name << ", " << piece;
        }
    }
}

TEST(RequestParser, TellsOnceThatTheClientWaits) {
    http::RequestParser parser(1000);
    parser.take("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    EXPECT_FALSE(parser.is_complete());
    EXPECT_TRUE(parser.take_expectation());
    EXPECT_FALSE(parser.take_expectation());
    parser.take("ab");
    EXPECT_TRUE(parser.is_complete());
}

TEST(RequestParser, DropsFieldsBehindTheChunks) {
    const std::string bytes =
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nAuthorization: Bearer t\r\nHost: y\r\n"
        "Idempotency-Key: k\r\n\r\n";
    for (const std::size_t piece : {std::size_t{1}, bytes.size()}) {
        const Outcome outcome = parse(bytes, piece);
        ASSERT_TRUE(outcome.request) << piece;
        EXPECT_EQ(outcome.request->body, "a");
        EXPECT_EQ(outcome.request->authorization, "");
        EXPECT_FALSE(outcome.request->has_idempotency_key);
    }
}

TEST(RequestParser, TellsNothingToAClientThatDoesNotKnowIt) {
    http::RequestParser parser(1000);
    parser.take("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    EXPECT_FALSE(parser.take_expectation());
}

TEST(RequestParser, TakesManyFieldsWithinTheLimit) {
    std::string bytes = "GET / HTTP/1.1\r\nHost: x\r\n";
    for (int i = 0; i < 500; ++i) bytes += "A" + std::to_string(i) + ": b\r\n";
    EXPECT_EQ(parse(bytes + "\r\n", 64).flaw, 0);
    for (int i = 0; i < 100000; ++i) bytes += "A" + std::to_string(i) + ": b\r\n";
    EXPECT_EQ(parse(bytes + "\r\n", 4096).flaw, 431);
}

}  // namespace
