// Messages leave in order and again after a lost connection, each chunk is finished once and never early, and nothing is lost.
#include "relay/outbox.hpp"

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "relay/retry_time.hpp"

namespace {

using relay::Chunk;
using relay::Outbox;

// A chunk whose messages have these payloads.
Chunk chunk_of(std::uint64_t ticket, const std::vector<std::string>& payloads) {
    Chunk chunk(ticket);
    for (const std::string& payload : payloads) {
        chunk.text() += "subject." + payload;
        chunk.end_subject();
        chunk.text() += "id-" + payload;
        chunk.end_id();
        chunk.text() += payload;
        chunk.end_payload();
    }
    return chunk;
}

std::vector<std::string> take_all(Outbox& outbox) {
    std::vector<std::string> payloads;
    while (const auto next = outbox.take()) payloads.emplace_back(next->message.payload);
    return payloads;
}

TEST(Chunk, keeps_the_parts_of_each_message) {
    const Chunk chunk = chunk_of(7, {"a", "", "ccc"});
    EXPECT_EQ(chunk.ticket(), 7u);
    ASSERT_EQ(chunk.size(), 3u);
    EXPECT_EQ(chunk.message(0).subject, "subject.a");
    EXPECT_EQ(chunk.message(1).subject, "subject.");
    EXPECT_EQ(chunk.message(1).id, "id-");
    EXPECT_EQ(chunk.message(1).payload, "");
    EXPECT_EQ(chunk.message(2).id, "id-ccc");
    EXPECT_EQ(chunk.message(2).payload, "ccc");
}

TEST(Outbox, gives_the_messages_in_order_under_ascending_numbers) {
    Outbox outbox;
    EXPECT_TRUE(outbox.is_empty());
    EXPECT_FALSE(outbox.take());
    outbox.push(chunk_of(1, {"a", "b"}));
    outbox.push(chunk_of(2, {"c"}));
    EXPECT_EQ(outbox.unsent(), 3u);
    std::vector<std::uint64_t> numbers;
    std::string payloads;
    while (const auto next = outbox.take()) {
        numbers.push_back(next->number);
        payloads += next->message.payload;
        EXPECT_FALSE(next->was_sent);
    }
    EXPECT_EQ(payloads, "abc");
    EXPECT_EQ(numbers, (std::vector<std::uint64_t>{1, 2, 3}));
    EXPECT_EQ(outbox.unsent(), 0u);
    EXPECT_EQ(outbox.in_flight(), 3u);
}

TEST(Outbox, finishes_a_chunk_when_it_and_all_before_it_are_acknowledged) {
    Outbox outbox;
    outbox.push(chunk_of(1, {"a", "b"}));
    outbox.push(chunk_of(2, {"c"}));
    outbox.push(chunk_of(3, {"d"}));
    take_all(outbox);
    EXPECT_TRUE(outbox.acknowledge(3));
    EXPECT_TRUE(outbox.acknowledge(2));
    EXPECT_EQ(outbox.take_finished(), std::nullopt);
    EXPECT_TRUE(outbox.acknowledge(1));
    EXPECT_EQ(outbox.take_finished(), 2u);
    EXPECT_EQ(outbox.take_finished(), std::nullopt);
    EXPECT_TRUE(outbox.acknowledge(4));
    EXPECT_EQ(outbox.take_finished(), 3u);
    EXPECT_TRUE(outbox.is_empty());
    EXPECT_EQ(outbox.bytes(), 0u);
    EXPECT_EQ(outbox.in_flight(), 0u);
}

TEST(Outbox, refuses_acknowledgements_of_what_is_not_in_flight) {
    Outbox outbox;
    EXPECT_FALSE(outbox.acknowledge(0));
    EXPECT_FALSE(outbox.acknowledge(1));
    outbox.push(chunk_of(1, {"a", "b"}));
    EXPECT_FALSE(outbox.acknowledge(1));
    outbox.take();
    EXPECT_FALSE(outbox.acknowledge(0));
    EXPECT_FALSE(outbox.acknowledge(2));
    EXPECT_FALSE(outbox.acknowledge(UINT64_MAX));
    EXPECT_TRUE(outbox.acknowledge(1));
    EXPECT_FALSE(outbox.acknowledge(1));
}

TEST(Outbox, sends_again_what_is_not_acknowledged) {
    Outbox outbox;
    outbox.push(chunk_of(1, {"a", "b", "c"}));
    outbox.push(chunk_of(2, {"d", "e"}));
    for (int i = 0; i < 4; ++i) outbox.take();
    outbox.acknowledge(2);
    outbox.send_again();
    EXPECT_EQ(outbox.in_flight(), 0u);
    EXPECT_FALSE(outbox.acknowledge(1)) << "the reply of an older connection";
    std::map<std::string, bool> was_sent;
    std::string order;
    while (const auto next = outbox.take()) {
        order += next->message.payload;
        was_sent[std::string(next->message.payload)] = next->was_sent;
    }
    EXPECT_EQ(order, "acde");
    EXPECT_TRUE(was_sent["a"] && was_sent["c"] && was_sent["d"]);
    EXPECT_FALSE(was_sent["e"]);
    EXPECT_EQ(outbox.in_flight(), 4u);
}

TEST(Outbox, counts_the_messages_that_wait) {
    Outbox outbox;
    outbox.push(chunk_of(1, {"a", "b", "c"}));
    for (int i = 0; i < 3; ++i) outbox.take();
    outbox.acknowledge(2);
    outbox.send_again();
    EXPECT_EQ(outbox.unsent(), 2u) << "the acknowledged one does not wait";
}

TEST(Outbox, finishes_an_empty_chunk_behind_those_before_it) {
    Outbox outbox;
    outbox.push(Chunk(1));
    EXPECT_EQ(outbox.take_finished(), 1u);
    EXPECT_TRUE(outbox.is_empty());
    outbox.push(chunk_of(2, {"a"}));
    outbox.push(Chunk(3));
    outbox.push(chunk_of(4, {"b"}));
    outbox.push(Chunk(5));
    EXPECT_EQ(take_all(outbox).size(), 2u);
    EXPECT_EQ(outbox.take_finished(), std::nullopt);
    outbox.acknowledge(2);
    outbox.acknowledge(1);
    EXPECT_EQ(outbox.take_finished(), 5u);
    EXPECT_TRUE(outbox.is_empty());
}

TEST(Outbox, forgets_everything_and_goes_on) {
    Outbox outbox;
    outbox.push(chunk_of(1, {"a", "b"}));
    outbox.take();
    outbox.clear();
    EXPECT_TRUE(outbox.is_empty());
    EXPECT_EQ(outbox.in_flight(), 0u);
    EXPECT_EQ(outbox.unsent(), 0u);
    EXPECT_FALSE(outbox.acknowledge(1));
    EXPECT_EQ(outbox.take_finished(), std::nullopt);
    outbox.push(chunk_of(2, {"c"}));
    const auto next = outbox.take();
    ASSERT_TRUE(next);
    EXPECT_EQ(next->number, 3u) << "a late reply for an old message must not count for a new one";
    EXPECT_TRUE(outbox.acknowledge(3));
    EXPECT_EQ(outbox.take_finished(), 2u);
}

// A server that acknowledges in any order, and loses connections: it keeps what has come, once for each id.
TEST(Outbox, delivers_every_message_over_a_bad_connection) {
    std::mt19937 random(20240501);
    for (int round = 0; round < 200; ++round) {
        Outbox outbox;
        std::set<std::string> arrived;
        std::vector<std::uint64_t> on_the_way;
        std::uint64_t finished = 0;
        std::map<std::uint64_t, std::vector<std::string>> chunks;
        std::uint64_t ticket = 0;
        int next_payload = 0;
        const auto check_finished = [&] {
            const auto now = outbox.take_finished();
            if (!now) return;
            EXPECT_GT(*now, finished);
            finished = *now;
            for (const auto& [each, payloads] : chunks)
                for (const std::string& payload : payloads) EXPECT_TRUE(each > finished || arrived.contains(payload));
        };
        const auto acknowledge_one = [&] {
            if (on_the_way.empty()) return;
            std::swap(on_the_way[random() % on_the_way.size()], on_the_way.back());
            EXPECT_TRUE(outbox.acknowledge(on_the_way.back()));
            on_the_way.pop_back();
        };
        const auto send_one = [&] {
            const auto next = outbox.take();
            if (!next) return false;
            EXPECT_EQ(next->message.subject, "subject." + std::string(next->message.payload));
            arrived.emplace(next->message.payload);
            on_the_way.push_back(next->number);
            return true;
        };
        for (int step = 0; step < 300; ++step) {
            switch (random() % 8) {
                case 0: {
                    std::vector<std::string> payloads(random() % 5);
                    for (std::string& each : payloads) each = std::to_string(next_payload++);
                    chunks[++ticket] = payloads;
                    outbox.push(chunk_of(ticket, payloads));
                    break;
                }
                case 1:
                    if (random() % 4 != 0) break;
                    outbox.send_again();
                    on_the_way.clear();
                    break;
                case 2:
                case 3:
                    acknowledge_one();
                    break;
                default:
                    send_one();
            }
            EXPECT_EQ(outbox.in_flight(), on_the_way.size());
            check_finished();
        }
        while (send_one() || !on_the_way.empty()) acknowledge_one();
        check_finished();
        EXPECT_EQ(finished, ticket);
        EXPECT_EQ(arrived.size(), static_cast<std::size_t>(next_payload));
        EXPECT_TRUE(outbox.is_empty());
        EXPECT_EQ(outbox.bytes(), 0u);
    }
}

TEST(RetryTime, is_half_of_the_delay_to_all_of_it) {
    std::set<runtime::SteadyTime> seen;
    for (int i = 0; i < 1000; ++i) {
        const runtime::SteadyTime time = relay::with_chance(1000);
        EXPECT_GE(time, 500);
        EXPECT_LE(time, 1000);
        seen.insert(time);
    }
    EXPECT_GT(seen.size(), 100u);
    EXPECT_EQ(relay::with_chance(0), 0);
}

}  // namespace
