// Notification payloads have an exact text, and keep their limit to the byte.
#include "model/notification.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "example_event.hpp"

namespace {

using model::BatchId;
using model::Epoch;
using model::Event;
using model::Metric;
using model::notification_payload;
using test::bare_event;

const std::string kBareTail =
    R"(,"type":"telemetry.ingested","device_id":"d","measured_at":"2026-01-02T03:04:05.000000Z","received_at":"2026-01-02T03:04:05.200000Z"})";

TEST(Notification, CarriesEverythingOfAnEvent) {
    const std::vector<Metric> metrics = {{"co2", 412}, {"light \"1\"", 185.71}};
    auto event = bare_event(12);
    event.device_id = "sensor\\1";
    event.region = "eu-west";
    event.temperature = 21.5;
    event.humidity = 40.25;
    event.metrics = metrics;
    EXPECT_EQ(
        notification_payload(BatchId{7}, Epoch{2}, 1, {&event, 1}),
        R"({"v":1,"batch":7,"epoch":2,"count":1,"events":[{"id":12,"type":"telemetry.ingested","device_id":"sensor\\1","region":"eu-west",)"
        R"("measured_at":"2026-01-02T03:04:05.000000Z","received_at":"2026-01-02T03:04:05.200000Z",)"
        R"("temperature":21.5,"humidity":40.25,"metrics":{"co2":412,"light \"1\"":185.71}}]})");
}

TEST(Notification, LeavesAbsentValuesOut) {
    const std::vector<Event> events = {bare_event(1), bare_event(2)};
    EXPECT_EQ(notification_payload(BatchId{8}, Epoch{2}, 2, events),
              R"({"v":1,"batch":8,"epoch":2,"count":2,"events":[{"id":1)" + kBareTail + R"(,{"id":2)" + kBareTail + "]}");
}

TEST(Notification, IsAPointerWithoutAllEvents) {
    const std::vector<Event> events = {bare_event(1), bare_event(2)};
    EXPECT_EQ(notification_payload(BatchId{9}, Epoch{2}, 3, events), R"({"v":1,"batch":9,"epoch":2,"count":3})");
    EXPECT_EQ(notification_payload(BatchId{9}, Epoch{2}, 3, {}), R"({"v":1,"batch":9,"epoch":2,"count":3})");
    EXPECT_EQ(notification_payload(BatchId{9}, Epoch{2}, 0, {}), R"({"v":1,"batch":9,"epoch":2,"count":0})");
}

TEST(Notification, KeepsTheLimitToTheByte) {
    const std::vector<Event> events(50, bare_event(1));
    const auto pointer = notification_payload(BatchId{1}, Epoch{2}, 50, {});
    const auto whole = notification_payload(BatchId{1}, Epoch{2}, 50, events);
    ASSERT_LE(whole.size(), 7999u);
    EXPECT_EQ(notification_payload(BatchId{1}, Epoch{2}, 50, events, whole.size()), whole);
    EXPECT_EQ(notification_payload(BatchId{1}, Epoch{2}, 50, events, whole.size() - 1), pointer);

    std::size_t greatest = 0;
    for (std::size_t size = 7000; size < 8200; ++size) {
        const std::string device(size, 'x');
        auto event = bare_event(1);
        event.device_id = device;
        const auto payload = notification_payload(BatchId{1}, Epoch{2}, 1, {&event, 1});
        ASSERT_LE(payload.size(), 7999u);
        greatest = std::max(greatest, payload.size());
    }
    EXPECT_EQ(greatest, 7999u);
}

TEST(Notification, IsAsciiAndItsSizeThatOfTheEscapedText) {
    const std::string device = "日本", metric = "température";
    const std::vector<Metric> metrics = {{metric, 1}};
    auto event = bare_event(1);
    event.device_id = device;
    event.region = "Zürich";
    event.metrics = metrics;
    const auto whole = notification_payload(BatchId{1}, Epoch{2}, 1, {&event, 1});
    EXPECT_EQ(
        whole,
        R"({"v":1,"batch":1,"epoch":2,"count":1,"events":[{"id":1,"type":"telemetry.ingested","device_id":"\u65e5\u672c",)"
        R"("region":"Z\u00fcrich","measured_at":"2026-01-02T03:04:05.000000Z","received_at":"2026-01-02T03:04:05.200000Z",)"
        R"("metrics":{"temp\u00e9rature":1}}]})");
    EXPECT_EQ(notification_payload(BatchId{1}, Epoch{2}, 1, {&event, 1}, whole.size()), whole);
    EXPECT_EQ(notification_payload(BatchId{1}, Epoch{2}, 1, {&event, 1}, whole.size() - 1),
              notification_payload(BatchId{1}, Epoch{2}, 1, {}));
}

}  // namespace
