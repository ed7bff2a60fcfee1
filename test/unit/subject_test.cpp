// Subjects have four tokens whatever the names are, and give the names back.
#include "relay/subject.hpp"

#include <algorithm>
#include <cstdlib>
#include <set>
#include <string>

#include <gtest/gtest.h>

namespace {

std::string subject_of(std::string_view type, std::string_view region, std::string_view device_id) {
    std::string subject;
    relay::append_subject(subject, type, region, device_id);
    return subject;
}

std::string token_of_device(std::string_view device_id) {
    return subject_of("telemetry.ingested", "r", device_id).substr(std::string_view("telemetry.ingested.r.").size());
}

// As RFC 3986 says.
std::string percent_decoded(std::string_view token) {
    std::string text;
    for (std::size_t i = 0; i < token.size(); ++i) {
        if (token[i] != '%') {
            text += token[i];
            continue;
        }
        text += static_cast<char>(std::strtoul(std::string(token.substr(i + 1, 2)).c_str(), nullptr, 16));
        i += 2;
    }
    return text;
}

TEST(Subject, HasTheWordsOfTheType) {
    EXPECT_EQ(subject_of("telemetry.ingested", "eu-west", "sensor-1"), "telemetry.ingested.eu-west.sensor-1");
    EXPECT_EQ(subject_of("device.offline", "eu-west", "sensor-1"), "telemetry.device-offline.eu-west.sensor-1");
    EXPECT_EQ(subject_of("telemetry.device.offline", "eu", "d"), "telemetry.telemetry-device-offline.eu.d");
}

TEST(Subject, KeepsVisibleAscii) {
    EXPECT_EQ(token_of_device("00:0f:00:70:91:0a"), "00:0f:00:70:91:0a");
    EXPECT_EQ(token_of_device("a_b-c/d$e@~!"), "a_b-c/d$e@~!");
}

TEST(Subject, EscapesWhatMeansSomething) {
    EXPECT_EQ(token_of_device("a.b"), "a%2Eb");
    EXPECT_EQ(token_of_device("*"), "%2A");
    EXPECT_EQ(token_of_device(">"), "%3E");
    EXPECT_EQ(token_of_device("100%"), "100%25");
    EXPECT_EQ(token_of_device("a%2Eb"), "a%252Eb");
    EXPECT_EQ(token_of_device("b \xc3\xa9"), "b%20%C3%A9");
    EXPECT_EQ(token_of_device("a\r\nPUB x 0\r\n"), "a%0D%0APUB%20x%200%0D%0A");
    EXPECT_EQ(token_of_device("\x7f"), "%7F");
}

TEST(Subject, HasATokenOfItsOwnForNoRegion) {
    EXPECT_EQ(subject_of("telemetry.ingested", "", "d"), "telemetry.ingested._.d");
    EXPECT_EQ(subject_of("telemetry.ingested", "_", "d"), "telemetry.ingested.%5F.d");
    EXPECT_EQ(subject_of("telemetry.ingested", "__", "d"), "telemetry.ingested.__.d");
    EXPECT_EQ(subject_of("telemetry.ingested", "%5F", "d"), "telemetry.ingested.%255F.d");
}

TEST(Subject, GivesEveryNameBack) {
    std::set<std::string> tokens;
    std::size_t names = 0;
    // All names of one byte, and all of two bytes in which one is special.
    for (int first = 0; first < 256; ++first) {
        for (int second = -1; second < 256; ++second) {
            std::string name(1, static_cast<char>(first));
            if (second >= 0) name += static_cast<char>(second);
            const auto token = token_of_device(name);
            ASSERT_EQ(percent_decoded(token), name);
            ASSERT_TRUE(std::ranges::all_of(token, [](char c) { return c > ' ' && c < 0x7f; }));
            ASSERT_EQ(token.find_first_of(".*>"), std::string::npos);
            tokens.insert(token);
            ++names;
        }
    }
    EXPECT_EQ(tokens.size(), names);
    EXPECT_FALSE(tokens.contains("_"));
}

TEST(Subject, FitsIntoAServersLineAtWorst) {
    const std::string region(255, '\xff'), device(255, '.');
    EXPECT_EQ(relay::kMaxSubjectSize, 10u + 64 + 1 + 765 + 1 + 765);
    EXPECT_EQ(subject_of("a." + std::string(62, 'x'), region, device).size(), 1606u);
}

TEST(Subject, ShortensALongName) {
    const std::string name(256, 'n');
    const auto token = token_of_device(name);
    EXPECT_EQ(token.substr(0, 248), std::string(248, 'n'));
    EXPECT_EQ(token.substr(248, 2), "%~");
    EXPECT_EQ(token.size(), 266u);
    EXPECT_NE(token_of_device(std::string(255, 'n') + 'm'), token);
    EXPECT_LE(token_of_device(std::string(765, '\xff')).size(), 765u);
    EXPECT_EQ(token_of_device(std::string(255, 'n')), std::string(255, 'n'));
}

}  // namespace
