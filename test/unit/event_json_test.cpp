// An event as JSON: which members it has, in which order, and its exact text.
#include "model/event_json.hpp"

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "example_event.hpp"

namespace {

using model::Event;
using model::EventFields;
using model::Metric;
using model::Micros;
using test::bare_event;

std::string text_of(const Event& event) {
    std::string json = "before ";
    model::append_event_json(json, event);
    return json.substr(std::string("before ").size());
}

const std::string kBare =
    R"({"id":12,"type":"telemetry.ingested","device_id":"d","measured_at":"2026-01-02T03:04:05.000000Z","received_at":"2026-01-02T03:04:05.200000Z")";

TEST(EventJson, LeavesAbsentValuesOut) {
    EXPECT_EQ(text_of(bare_event(12)), kBare + "}");
}

TEST(EventJson, HasEveryValueThatIsThere) {
    const std::vector<Metric> metrics = {{"co2", 412}, {"light", 185.71}};
    for (unsigned present = 0; present < 16; ++present) {
        Event event = bare_event(12);
        std::string tail;
        if ((present & 1) != 0) {
            event.temperature = 21.5;
            tail += R"(,"temperature":21.5)";
        }
        if ((present & 2) != 0) {
            event.humidity = -0.0;
            tail += R"(,"humidity":-0)";
        }
        if ((present & 4) != 0) {
            event.metrics = metrics;
            tail += R"(,"metrics":{"co2":412,"light":185.71})";
        }
        std::string expected = kBare + tail + "}";
        if ((present & 8) != 0) {
            event.region = "eu-west";
            expected.insert(expected.find(R"(,"measured_at")"), R"(,"region":"eu-west")");
        }
        EXPECT_EQ(text_of(event), expected);
    }
}

TEST(EventJson, EscapesTexts) {
    const std::vector<Metric> metrics = {{"light \"1\"", 1}, {"tab\t", 2}, {"température", 3}};
    Event event = bare_event(12);
    event.device_id = "sensor\\1 日\U0001F321";
    event.region = "Z\u00FCrich/\"north\"";
    event.metrics = metrics;
    const std::string json = text_of(event);
    EXPECT_NE(json.find(R"("device_id":"sensor\\1 \u65e5\ud83c\udf21","region":"Z\u00fcrich/\"north\"")"), std::string::npos)
        << json;
    EXPECT_NE(json.find(R"("metrics":{"light \"1\"":1,"tab\t":2,"temp\u00e9rature":3}})"), std::string::npos) << json;
}

TEST(EventJson, KeepsEveryDigit) {
    Event event = bare_event(12);
    event.event_id = {std::numeric_limits<std::int64_t>::max()};
    event.measured_at = -946684800000000;
    event.temperature = std::numeric_limits<double>::max();
    event.humidity = std::numeric_limits<double>::denorm_min();
    EXPECT_EQ(
        text_of(event),
        R"({"id":9223372036854775807,"type":"telemetry.ingested","device_id":"d","measured_at":"1970-01-01T00:00:00.000000Z",)"
        R"("received_at":"2026-01-02T03:04:05.200000Z","temperature":1.7976931348623157e+308,"humidity":5e-324})");
}

// The members that the type adds are given as they are.
TEST(EventJson, TellsEventsOfOtherTypes) {
    Event event = bare_event(13);
    event.type = model::kDeviceOffline;
    event.temperature = 21.5;  // such an event has no values
    const std::string bare =
        R"({"id":13,"type":"device.offline","device_id":"d","since":"2026-01-02T03:04:05.000000Z","received_at":"2026-01-02T03:04:05.200000Z")";
    EXPECT_EQ(text_of(event), bare + "}");
    event.details = "{}";
    EXPECT_EQ(text_of(event), bare + "}");
    event.details = R"({"state": "offline", "expected_interval": 60})";
    EXPECT_EQ(text_of(event), bare + R"(,"state": "offline", "expected_interval": 60})");
    event.region = "eu-west";
    event.type = model::kDeviceOnline;
    event.details = {};
    EXPECT_EQ(
        text_of(event),
        R"({"id":13,"type":"device.online","device_id":"d","region":"eu-west","since":"2026-01-02T03:04:05.000000Z","received_at":"2026-01-02T03:04:05.200000Z"})");
}

// A writer of its own decides how values look, and is asked for those that are there only.
struct NameWriter {
    std::string names;
    void add(std::string_view kind, std::string_view name) { names.append(kind).append(" ").append(name).append(";"); }
    void text(std::string_view name, std::string_view) { add("text", name); }
    void time(std::string_view name, Micros) { add("time", name); }
    void number(std::string_view name, double) { add("number", name); }
    void metrics(std::string_view name, int) { add("metrics", name); }
    void members(int) { add("members", "of details"); }
};

TEST(EventJson, NamesEachMemberOnce) {
    NameWriter writer;
    int metrics = 0;
    model::write_event_members(EventFields{"d", "r", test::kMeasuredAt, test::kMeasuredAt, 1, 2, "k"}, &metrics, writer);
    EXPECT_EQ(writer.names,
              "text device_id;text region;time measured_at;time received_at;number temperature;number humidity;"
              "metrics metrics;text idempotency_key;");
    NameWriter other;
    model::write_other_event_members(EventFields{"d", "r", test::kMeasuredAt, test::kMeasuredAt, 1, 2, "k"}, &metrics, other);
    EXPECT_EQ(other.names, "text device_id;text region;time since;time received_at;members of details;text idempotency_key;");
    NameWriter nothing;
    model::write_other_event_members(EventFields{}, static_cast<int*>(nullptr), nothing);
    model::write_event_members(EventFields{}, static_cast<int*>(nullptr), nothing);
    EXPECT_EQ(nothing.names, "");
}

}  // namespace
