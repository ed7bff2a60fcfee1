// Message ids have the event id and the hash of the payload. The expected hashes are the test vectors of SipHash's authors.
#include "relay/message_id.hpp"

#include <limits>
#include <numeric>
#include <string>

#include <gtest/gtest.h>

namespace {

using model::EventId;

std::string id_of(std::int64_t event_id, std::string_view payload) {
    std::string id;
    relay::append_message_id(id, EventId{event_id}, payload);
    return id;
}

// The bytes 00 01 02 ...
std::string message(std::size_t length) {
    std::string bytes(length, '\0');
    std::iota(bytes.begin(), bytes.end(), '\0');
    return bytes;
}

TEST(MessageId, JoinsEventIdAndHash) {
    EXPECT_EQ(id_of(12, ""), "12-726fdb47dd0e0e31");
    EXPECT_EQ(id_of(1, message(15)), "1-a129ca6149be45e5");
    EXPECT_EQ(id_of(1, message(2)), "1-0d6c8009d9a94f5a");  // zeros lead
    std::string id = "before ";
    relay::append_message_id(id, EventId{0}, message(1));
    EXPECT_EQ(id, "before 0-74f839c593dc67fd");
}

TEST(MessageId, HasRoomForEveryEventId) {
    EXPECT_EQ(id_of(std::numeric_limits<std::int64_t>::max(), ""), "9223372036854775807-726fdb47dd0e0e31");
    const auto longest = id_of(std::numeric_limits<std::int64_t>::min(), "");
    EXPECT_EQ(longest, "-9223372036854775808-726fdb47dd0e0e31");
    EXPECT_EQ(longest.size(), relay::kMaxMessageIdSize);
}

TEST(MessageId, DiffersWhereAnEventIdCameAgain) {
    const std::string lost = R"({"id":12,"device_id":"a","received_at":"2026-01-02T03:04:05.200000Z"})";
    const std::string again = R"({"id":12,"device_id":"a","received_at":"2026-01-02T03:04:05.200001Z"})";
    EXPECT_EQ(id_of(12, lost), id_of(12, lost));
    EXPECT_NE(id_of(12, lost), id_of(12, again));
}

}  // namespace
