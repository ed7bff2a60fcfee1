// JSON texts become readings and refusals. The expected values are written by hand, or come from printf and strtod.
#include "model/json_readings.hpp"

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "error_codes.hpp"

namespace {

using model::JsonReadings;
using model::TimeUnit;

constexpr std::size_t kAnyNumber = 1'000'000;
constexpr model::Micros kExample = (1767323045 - 946684800) * 1'000'000L;  // 2026-01-02 03:04:05 UTC

// The refusal of the only item.
model::RefusalText refusal_of(std::string_view text, TimeUnit unit = TimeUnit::kNone) {
    const JsonReadings readings(text, unit, kAnyNumber);
    EXPECT_FALSE(readings.refusal()) << text << ": " << readings.refusal()->detail;
    EXPECT_EQ(readings.items().size(), 1u) << text;
    if (readings.items().size() != 1) return {};
    EXPECT_TRUE(readings.items()[0].refusal) << text;
    return readings.items()[0].refusal != nullptr ? *readings.items()[0].refusal : model::RefusalText{};
}

void expect_refusal(std::string_view text, int sqlstate, std::string_view message, std::string_view detail_part,
                    TimeUnit unit = TimeUnit::kNone) {
    const auto refusal = refusal_of(text, unit);
    EXPECT_EQ(refusal.sqlstate, sqlstate) << text << ": " << refusal.message;
    EXPECT_EQ(refusal.message, message) << text;
    EXPECT_NE(refusal.detail.find(detail_part), std::string::npos) << text << ": " << refusal.detail;
    EXPECT_FALSE(refusal.hint.empty()) << text;
}

void expect_broken(std::string_view text, std::string_view detail_part) {
    const JsonReadings readings(text, TimeUnit::kNone, kAnyNumber);
    ASSERT_TRUE(readings.refusal()) << text;
    EXPECT_EQ(readings.refusal()->sqlstate, error_codes::kInvalidBatch);
    EXPECT_NE(readings.refusal()->detail.find(detail_part), std::string::npos) << text << ": " << readings.refusal()->detail;
    EXPECT_TRUE(readings.items().empty());
}

// A reading with these members besides the device.
std::string with(const std::string& members) {
    return R"({"device_id":"dev-1",)" + members + "}";
}

TEST(JsonReadings, EveryField) {
    const std::string text = R"( {"device_id": "dev-1", "measured_at": "2026-01-02T04:04:05.678+01:00", "temperature": 21.5,
        "humidity": 40, "idempotency_key": "k-1", "metrics": {"voltage": 2.69, "light": 1e3, "co2": 400}, "region": "nörd"} )";
    const JsonReadings readings(text, TimeUnit::kNone, 1);
    ASSERT_FALSE(readings.refusal());
    ASSERT_EQ(readings.items().size(), 1u);
    const auto& item = readings.items()[0];
    ASSERT_EQ(item.refusal, nullptr);
    EXPECT_EQ(item.text, std::string_view(text).substr(1, text.size() - 2));
    EXPECT_EQ(item.reading.device_id, "dev-1");
    EXPECT_EQ(item.reading.measured_at, kExample + 678000);
    EXPECT_EQ(item.reading.temperature, 21.5);
    EXPECT_EQ(item.reading.humidity, 40.0);
    EXPECT_EQ(item.reading.idempotency_key, "k-1");
    EXPECT_EQ(item.reading.region, "nörd");
    ASSERT_EQ(item.reading.metrics.size(), 3u);  // in jsonb's order
    EXPECT_EQ(item.reading.metrics[0].name, "co2");
    EXPECT_EQ(item.reading.metrics[0].value, 400);
    EXPECT_EQ(item.reading.metrics[1].name, "light");
    EXPECT_EQ(item.reading.metrics[1].value, 1000);
    EXPECT_EQ(item.reading.metrics[2].name, "voltage");
    EXPECT_EQ(item.reading.metrics[2].value, 2.69);
}

TEST(JsonReadings, NullsAreNotSent) {
    const JsonReadings readings(
        R"([{"device_id":"d","measured_at":null,"temperature":null,"humidity":null,"idempotency_key":null,"metrics":null,"region":null},
            {"device_id":"d","metrics":{"b":null,"a":1,"c":null}},{"device_id":"d","metrics":{}},{"device_id":"d"}])",
        TimeUnit::kNone, kAnyNumber);
    ASSERT_EQ(readings.items().size(), 4u);
    for (const auto& item : readings.items()) {
        EXPECT_EQ(item.refusal, nullptr);
        EXPECT_FALSE(item.reading.measured_at || item.reading.temperature || item.reading.humidity);
        EXPECT_FALSE(item.reading.idempotency_key || item.reading.region);
    }
    ASSERT_EQ(readings.items()[1].reading.metrics.size(), 1u);
    EXPECT_EQ(readings.items()[1].reading.metrics[0].name, "a");
}

TEST(JsonReadings, OneBadItemSpoilsNoOther) {
    const JsonReadings readings(
        R"([{"device_id":"a"} , {"a":}, 17, "x,]}\"", null, [1,{"b":"]"}], {"device_id":"b"}, {"device_id":"c" "x"},{"device_id":"d"} ])",
        TimeUnit::kNone, kAnyNumber);
    ASSERT_FALSE(readings.refusal()) << readings.refusal()->detail;
    const char* const texts[] = {R"({"device_id":"a"})",
                                 R"({"a":})",
                                 "17",
                                 R"("x,]}\"")",
                                 "null",
                                 R"([1,{"b":"]"}])",
                                 R"({"device_id":"b"})",
                                 R"({"device_id":"c" "x"})",
                                 R"({"device_id":"d"})"};
    ASSERT_EQ(readings.items().size(), std::size(texts));
    for (std::size_t i = 0; i < std::size(texts); ++i) {
        EXPECT_EQ(readings.items()[i].text, texts[i]);
        const bool is_good = i == 0 || i == 6 || i == 8;
        EXPECT_EQ(readings.items()[i].refusal == nullptr, is_good) << texts[i];
        if (!is_good) {
            EXPECT_EQ(readings.items()[i].refusal->sqlstate, error_codes::kInvalidJson) << texts[i];
        }
    }
    EXPECT_EQ(readings.items()[7].reading.device_id, "c");
    EXPECT_EQ(readings.items()[6].reading.device_id, "b");
}

TEST(JsonReadings, EmptyArray) {
    for (const char* text : {"[]", " [ ] ", "\n[\t]\r\n"}) {
        const JsonReadings readings(text, TimeUnit::kNone, 0);
        EXPECT_FALSE(readings.refusal());
        EXPECT_TRUE(readings.items().empty());
    }
}

TEST(JsonReadings, BrokenTexts) {
    expect_broken("", "The text ends before byte 1 (line 1, column 1)");
    expect_broken("  ", "an object or an array was expected");
    expect_broken("17", "At byte 1 (line 1, column 1) follows \"17\"");
    expect_broken("\"x\"", "an object or an array");
    expect_broken("null", "an object or an array");
    expect_broken("\xef\xbb\xbf{}", "an object or an array");
    expect_broken("{", "an item with its end");
    expect_broken("[", "The text ends before byte 2");
    expect_broken("[{}", "a comma or the end of the array");
    expect_broken("[{},", "The text ends before byte 5");
    expect_broken("[{},]", "At byte 5 (line 1, column 5) follows \"]\", where an item was expected");
    expect_broken("[,{}]", "an item was expected");
    expect_broken("[{},,{}]", "an item was expected");
    expect_broken("[{}\n{}]", "At byte 5 (line 2, column 1) follows \"{}]\"");
    expect_broken("[\"é\"\n\"éa\" 1]", "(line 2, column 1)");
    expect_broken("[{} x]", "byte 5");
    expect_broken("[x{}]", "byte 3");
    expect_broken("[{}]x", "where the end of the text was expected");
    expect_broken("[{}]]", "the end of the text");
    expect_broken("{}{}", "At byte 3 (line 1, column 3) follows \"{}\", where the end of the text");
    expect_broken("{},", "the end of the text");
    expect_broken("[{\"a\":\"x}]", "an item with its end");
    expect_broken("[{\"a\":\"x\\\"}]", "an item with its end");
    expect_broken("[\"x]", "an item with its end");
    expect_broken("[{]]", "an item with its end");
    expect_broken("[}]", "an item was expected");
    expect_broken("{]", "an item with its end");
    expect_broken("[{\"a\":[1}]]]", "an item with its end");
}

TEST(JsonReadings, TooManyItems) {
    const JsonReadings three("[{\"device_id\":\"a\"},{},1]", TimeUnit::kNone, 3);
    EXPECT_EQ(three.items().size(), 3u);
    const JsonReadings four("[{\"device_id\":\"a\"},{},1,2]", TimeUnit::kNone, 3);
    ASSERT_TRUE(four.refusal());
    EXPECT_EQ(four.refusal()->sqlstate, error_codes::kBatchTooLarge);
    EXPECT_NE(four.refusal()->detail.find("has 4 items"), std::string::npos) << four.refusal()->detail;
    EXPECT_TRUE(four.items().empty());
    const JsonReadings broken("[{},{},1,2", TimeUnit::kNone, 3);
    ASSERT_TRUE(broken.refusal());
    EXPECT_EQ(broken.refusal()->sqlstate, error_codes::kInvalidBatch);
}

TEST(JsonReadings, Fields) {
    expect_refusal("{}", error_codes::kInvalidDeviceId, "device_id is missing", "names no device");
    expect_refusal(R"({"device_id":null})", error_codes::kInvalidDeviceId, "device_id is missing", "names no device");
    expect_refusal(with(R"("temp":1)"), error_codes::kInvalidJson, "unknown field in a reading",
                   R"(of device "dev-1" has the field "temp".)");
    expect_refusal(with(R"("x\u0000":{"y":[1]})"), error_codes::kInvalidJson, "unknown field in a reading", R"("x\x00")");
    expect_refusal(with(R"("Temperature":1)"), error_codes::kInvalidJson, "unknown field in a reading", "Temperature");
    expect_refusal(with(R"("":1)"), error_codes::kInvalidJson, "unknown field in a reading", "\"\"");
    expect_refusal(with(R"("temperature":1,"temperature":2)"), error_codes::kInvalidJson, "repeated field in a reading",
                   R"("temperature" more than once)");
    expect_refusal(with(R"("metrics":{},"metrics":{"a":1})"), error_codes::kInvalidJson, "repeated field in a reading",
                   "metrics");
    expect_refusal(with(R"("region":null,"region":"x")"), error_codes::kInvalidJson, "repeated field in a reading", "region");
    expect_refusal(with(R"("device\u005fid":"x")"), error_codes::kInvalidJson, "repeated field in a reading", "device_id");
    expect_refusal(with(R"("temperature":1,)"), error_codes::kInvalidJson, "reading is not JSON", "follows \"}\"");
    expect_refusal(with(R"("temperature":01)"), error_codes::kInvalidJson, "reading is not JSON", "follows \"1}\"");
    expect_refusal(with(R"("temperature":+1)"), error_codes::kInvalidJson, "reading is not JSON", "follows \"+1}\"");
    expect_refusal(with(R"("temperature":.5)"), error_codes::kInvalidJson, "reading is not JSON", "follows \".5}\"");
    expect_refusal(with(R"("temperature":1 /* x */)"), error_codes::kInvalidJson, "reading is not JSON", "follows \"/*");
    expect_refusal(with("\"region\":\"a\nb\""), error_codes::kInvalidJson, "reading is not JSON", "follows \"\\x0Ab");
    expect_refusal("[3]", error_codes::kInvalidJson, "reading is not a JSON object", "The item is \"3\".");
    expect_refusal(std::string_view("[\0]", 3), error_codes::kInvalidJson, "reading is not a JSON object", "\"\\x00\"");
    expect_refusal("[nonsense]", error_codes::kInvalidJson, "reading is not a JSON object", "\"nonsense\"");
}

TEST(JsonReadings, WrongTypes) {
    expect_refusal(R"({"temperature":"21.5","device_id":"dev-1"})", error_codes::kInvalidJson, "temperature is not a number",
                   R"(temperature of device "dev-1" is the text "21.5".)");
    expect_refusal(with(R"("temperature":"NaN")"), error_codes::kInvalidJson, "temperature is not a number", "NaN");
    expect_refusal(with(R"("humidity":true)"), error_codes::kInvalidJson, "humidity is not a number", "is true.");
    expect_refusal(with(R"("humidity":{"x":[{}]})"), error_codes::kInvalidJson, "humidity is not a number", "is an object.");
    expect_refusal(with(R"("region":["x"])"), error_codes::kInvalidJson, "region is not a text", "is an array.");
    expect_refusal(with(R"("region":7)"), error_codes::kInvalidJson, "region is not a text", "is the number 7.");
    expect_refusal(with(R"("idempotency_key":12345678901234567890123)"), error_codes::kInvalidJson,
                   "idempotency_key is not a text", "is the number 12345678901234567890123.");
    expect_refusal(R"({"device_id":42})", error_codes::kInvalidJson, "device_id is not a text", "device_id is the number 42.");
    EXPECT_NE(refusal_of(R"({"device_id":42})").hint.find("quotes"), std::string::npos);
    expect_refusal(R"({"device_id":false})", error_codes::kInvalidJson, "device_id is not a text", "is false.");
    expect_refusal(with(R"("metrics":[1])"), error_codes::kInvalidMetrics, "metrics are not a JSON object", "are an array.");
    expect_refusal(with(R"("metrics":5)"), error_codes::kInvalidMetrics, "metrics are not a JSON object", "are the number 5.");
    expect_refusal(with(R"("metrics":"x")"), error_codes::kInvalidMetrics, "metrics are not a JSON object",
                   "are the text \"x\".");
    expect_refusal(with(R"("metrics":{"a":"1"})"), error_codes::kInvalidMetrics, "metric is not a number",
                   R"(Metric "a" of device "dev-1" is the text "1".)");
    expect_refusal(with(R"("metrics":{"a":{"b":1}})"), error_codes::kInvalidMetrics, "metric is not a number", "an object");
    expect_refusal(with(R"("metrics":{"a":[]})"), error_codes::kInvalidMetrics, "metric is not a number", "an array");
    expect_refusal(with(R"("metrics":{"a":true})"), error_codes::kInvalidMetrics, "metric is not a number", "is true");
    const auto shortened = refusal_of(with("\"temperature\":\"" + std::string(1000, 'x') + "\""));
    EXPECT_LT(shortened.detail.size(), 150u);
}

TEST(JsonReadings, NumbersThatAreNoDoubles) {
    for (const char* number : {"1e999", "-1e999", "1e99999999999", "NaN", "Infinity", "-Infinity"}) {
        const std::string text(number);
        expect_refusal(with("\"temperature\":" + text), error_codes::kNotFinite, "temperature is not a finite number", text);
        expect_refusal(with("\"humidity\": " + text), error_codes::kNotFinite, "humidity is not a finite number", text);
        expect_refusal(with("\"metrics\":{\"a\":" + text + "}"), error_codes::kNotFinite, "metric is not a finite number",
                       "Metric \"a\" of device \"dev-1\" is ");
    }
    for (const char* number : {"1e-999", "-1e-999", "1e-99999999999", "2.4e-324"}) {
        const std::string text(number);
        expect_refusal(with("\"temperature\":" + text), error_codes::kInvalidJson, "temperature is out of range",
                       "temperature of device \"dev-1\" is the number " + text + ", too near to zero for double precision.");
        expect_refusal(with("\"metrics\":{\"a\":" + text + "}"), error_codes::kInvalidMetrics, "metric is out of range",
                       "Metric \"a\" of device \"dev-1\" is the number " + text + ", too near to zero");
    }
    expect_refusal(with("\"region\":NaN"), error_codes::kInvalidJson, "reading is not JSON", "NaN");
    expect_refusal(with("\"temperature\":NaN,\"x\":1").insert(1, "NaN,"), error_codes::kInvalidJson, "reading is not JSON",
                   "NaN");
}

TEST(JsonReadings, Zeros) {
    const std::string text = with(R"("temperature":-0,"humidity":-0.0e7,"metrics":{"a":-0,"b":0e9})");
    const JsonReadings readings(text, TimeUnit::kNone, 1);
    ASSERT_EQ(readings.items().size(), 1u);
    const auto& reading = readings.items()[0].reading;
    ASSERT_EQ(readings.items()[0].refusal, nullptr);
    EXPECT_TRUE(std::signbit(*reading.temperature) && std::signbit(*reading.humidity));
    ASSERT_EQ(reading.metrics.size(), 2u);
    for (const auto& metric : reading.metrics) EXPECT_EQ(std::bit_cast<std::uint64_t>(metric.value), 0u);  // as in jsonb
}

TEST(JsonReadings, Metrics) {
    expect_refusal(with(R"("metrics":{"a":1,"b":2,"a":1})"), error_codes::kInvalidMetrics, "repeated metric", "\"a\"");
    expect_refusal(with(R"("metrics":{"a":null,"\u0061":1})"), error_codes::kInvalidMetrics, "repeated metric", "\"a\"");
    std::string members;
    for (std::size_t i = 0; i < model::kMostMetrics; ++i)
        members += (i > 0 ? ",\"m" : "\"m") + std::to_string(i) + "\":" + std::to_string(i);
    const std::string text = with("\"metrics\":{" + members + "}");
    const JsonReadings readings(text, TimeUnit::kNone, 1);
    ASSERT_EQ(readings.items()[0].reading.metrics.size(), model::kMostMetrics);
    EXPECT_EQ(readings.items()[0].reading.metrics[9].name, "m9");
    EXPECT_EQ(readings.items()[0].reading.metrics[10].name, "m10");
    EXPECT_EQ(readings.items()[0].reading.metrics[63].value, 63);
    expect_refusal(with("\"metrics\":{" + members + ",\"x\":null}"), error_codes::kInvalidMetrics, "too many metrics",
                   "has 1025;");
    std::string many;
    for (int i = 0; i < 200'000; ++i) many += (i > 0 ? ",\"m" : "\"m") + std::to_string(i) + "\":1";
    expect_refusal(with("\"metrics\":{" + many + "}"), error_codes::kInvalidMetrics, "too many metrics", "has 200000;");
}

TEST(JsonReadings, CharactersThatNoTextMayHave) {
    struct {
        const char *members, *message;
        int sqlstate;
    } const cases[] = {{R"("region":"a%sb")", "region is not valid", error_codes::kInvalidRegion},
                       {R"("idempotency_key":"%s")", "idempotency_key is not valid", error_codes::kInvalidKey},
                       {R"("metrics":{"a%s":1})", "metric name is not valid", error_codes::kInvalidMetrics}};
    for (const auto& each : cases)
        for (const char* escape : {R"(\u0000)", R"(\ud800)", R"(\udc00)", R"(\ud800x)", R"(\ud800\n)", R"(\ud800\u0041)",
                                   R"(\udbff\ud800)", R"(\\\uDBFF)"}) {
            char members[100];
            std::snprintf(members, sizeof members, each.members, escape);
            expect_refusal(with(members), each.sqlstate, each.message,
                           escape == std::string_view(R"(\u0000)") ? R"(the character \u0000)" : "surrogate");
        }
    expect_refusal(R"({"device_id":"\u0000"})", error_codes::kInvalidDeviceId, "device_id is not valid", R"(\u0000)");
    expect_refusal(R"({"device_id":"\ud800"})", error_codes::kInvalidDeviceId, "device_id is not valid", "surrogate");
    expect_refusal(with(R"("measured_at":"\ud800")"), error_codes::kInvalidJson, "measured_at is not a time", "surrogate");
    expect_refusal(with(R"("measured_at":"2026-01-02T03:04:05Z\u0000")"), error_codes::kInvalidJson,
                   "measured_at is not a time", "");
    expect_refusal(with(R"("temperature":"\ud800")"), error_codes::kInvalidJson, "temperature is not a number", "surrogate");
    expect_refusal(with(R"("\ud800":1)"), error_codes::kInvalidJson, "reading is not JSON", "");
    expect_refusal(with("\"region\":\"\\\\ud800\x01\""), error_codes::kInvalidJson, "reading is not JSON", "\\x01");
    for (const char* bytes : {"\x80", "\xff", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc3"})
        for (const char* members : {R"("region":"a%s")", R"("metrics":{"%s":1})", R"("%s":1)"}) {
            char text[100];
            std::snprintf(text, sizeof text, members, bytes);
            expect_refusal(with(text), error_codes::kInvalidJson, "reading is not JSON", "After ");
        }
}

TEST(JsonReadings, Escapes) {
    const std::string text =
        R"([{"device_\u0069d":"\u00e9\"\\\/\ud83d\ude00x","region":"a\tb","metrics":{"\u0062":2,"a":1}}, {"device_id":"c"}])";
    const JsonReadings readings(text, TimeUnit::kNone, 2);
    ASSERT_EQ(readings.items().size(), 2u);
    EXPECT_EQ(readings.items()[0].reading.device_id, "é\"\\/😀x");
    EXPECT_EQ(readings.items()[0].reading.region, "a\tb");
    ASSERT_EQ(readings.items()[0].reading.metrics.size(), 2u);
    EXPECT_EQ(readings.items()[0].reading.metrics[1].name, "b");
    EXPECT_EQ(readings.items()[1].reading.device_id, "c");
}

TEST(JsonReadings, NamesOfRefusedItems) {
    const std::string text =
        R"([{"idempotency_key":"k","temperature":"x","device_id":"d","region":"r","metrics":{"a":1}},{"device_id":"d",x},{"x":1}])";
    const JsonReadings readings(text, TimeUnit::kNone, 3);
    ASSERT_EQ(readings.items().size(), 3u);
    const auto& reading = readings.items()[0].reading;
    EXPECT_EQ(reading.device_id, "d");
    EXPECT_EQ(reading.idempotency_key, "k");
    EXPECT_FALSE(reading.region);
    EXPECT_TRUE(reading.metrics.empty());
    EXPECT_EQ(readings.items()[1].reading.device_id, "d");
    EXPECT_EQ(readings.items()[2].reading.device_id, "");
    EXPECT_EQ(readings.items()[2].refusal->message, "unknown field in a reading");
}

TEST(JsonReadings, Times) {
    const auto time_of = [](const std::string& time, TimeUnit unit) {
        const std::string text = with("\"measured_at\":" + time);
        const JsonReadings readings(text, unit, 1);
        EXPECT_EQ(readings.items()[0].refusal, nullptr) << time;
        return readings.items()[0].reading.measured_at;
    };
    EXPECT_EQ(time_of("\"2026-01-02 03:04:05Z\"", TimeUnit::kNone), kExample);
    EXPECT_EQ(time_of("\"2026-01-02T03:04:05\\u005a\"", TimeUnit::kMilliseconds), kExample);
    EXPECT_EQ(time_of("1767323045", TimeUnit::kSeconds), kExample);
    EXPECT_EQ(time_of("1.767323045e9", TimeUnit::kSeconds), kExample);
    EXPECT_EQ(time_of("1767323045000.001", TimeUnit::kMilliseconds), kExample + 1);
    EXPECT_EQ(time_of("1767323045000000", TimeUnit::kMicroseconds), kExample);
    EXPECT_EQ(time_of("1767323045000001499", TimeUnit::kNanoseconds), kExample + 1);
    expect_refusal(with(R"("measured_at":"2026-01-02T03:04:05")"), error_codes::kInvalidJson, "measured_at has no time zone",
                   R"(the text "2026-01-02T03:04:05")");
    expect_refusal(with(R"("measured_at":"yesterday")"), error_codes::kInvalidJson, "measured_at is not a time", "yesterday");
    expect_refusal(with(R"("measured_at":"2026-02-30T03:04:05Z")"), error_codes::kMeasuredAtOutOfRange,
                   "measured_at is out of range", "2026-02-30");
    expect_refusal(with(R"("measured_at":"infinity")"), error_codes::kMeasuredAtOutOfRange, "measured_at is out of range",
                   "infinity");
    expect_refusal(with(R"("measured_at":1767323045)"), error_codes::kInvalidJson, "measured_at is a number without a unit",
                   "the number 1767323045");
    EXPECT_NE(refusal_of(with(R"("measured_at":1767323045)")).hint.find("time_unit => 's'"), std::string::npos);
    expect_refusal(with(R"("measured_at":"1767323045")"), error_codes::kInvalidJson, "measured_at is not a time", "the text",
                   TimeUnit::kSeconds);
    for (const char* number : {"1e999", "1e99999999999", "99999999999999999999"})
        expect_refusal(with("\"measured_at\":" + std::string(number)), error_codes::kMeasuredAtOutOfRange,
                       "measured_at is out of range", number, TimeUnit::kSeconds);
    expect_refusal(with(R"("measured_at":true)"), error_codes::kInvalidJson, "measured_at is not a time", "is true");
    expect_refusal(with(R"("measured_at":{})"), error_codes::kInvalidJson, "measured_at is not a time", "an object");
}

TEST(JsonReadings, DeepNesting) {
    for (const std::size_t depth : {3u, 31u, 32u, 33u, 1000u, 1'000'000u}) {
        const std::string nested = std::string(depth, '[') + std::string(depth, ']');
        expect_refusal(with("\"x\":" + nested), error_codes::kInvalidJson, "unknown field in a reading", "\"x\"");
        expect_refusal(with("\"metrics\":{\"a\":" + nested + "}"), error_codes::kInvalidMetrics, "metric is not a number",
                       "an array");
        expect_refusal("[" + nested + "]", error_codes::kInvalidJson, "reading is not a JSON object", "[[[");
        std::string objects;
        for (std::size_t i = 0; i < depth; ++i) objects += "{\"a\":";
        const std::string text = "[" + with("\"region\":" + objects + "1" + std::string(depth, '}')) + R"(,{"device_id":"b"}])";
        const JsonReadings readings(text, TimeUnit::kNone, 2);
        ASSERT_EQ(readings.items().size(), 2u);
        EXPECT_EQ(readings.items()[0].refusal->message, "region is not a text");
        EXPECT_EQ(readings.items()[0].reading.device_id, "dev-1");
        EXPECT_EQ(readings.items()[1].refusal, nullptr);
        expect_broken("[" + with("\"region\":" + objects), "an item with its end");
    }
}

TEST(JsonReadings, LargeTexts) {
    constexpr std::size_t kSize = 10'000'000;
    const std::string key = with("\"idempotency_key\":\"" + std::string(kSize, 'x') + "\"");
    EXPECT_EQ(JsonReadings(key, TimeUnit::kNone, 1).items()[0].reading.idempotency_key->size(), kSize);
    std::string escapes;
    while (escapes.size() < kSize) escapes += "\\u00e9";
    const std::string escaped = with("\"region\":\"" + escapes + "\"");
    EXPECT_EQ(JsonReadings(escaped, TimeUnit::kNone, 1).items()[0].reading.region->size(), escapes.size() / 3);
    const std::string number = with("\"temperature\":" + std::string(kSize, '1') + "e-10000000");
    const JsonReadings numbers(number, TimeUnit::kNone, 1);
    ASSERT_EQ(numbers.items()[0].refusal, nullptr);
    EXPECT_NEAR(*numbers.items()[0].reading.temperature, 1.0 / 9, 1e-9);

    // Texts in which looking for the end of each bad item anew could take forever.
    std::string bad = "[{\"a\":}";
    for (int i = 0; i < 300'000; ++i) bad += ",{\"a\":\"\x01\",\"b\":}";
    bad += "]";
    EXPECT_EQ(JsonReadings(bad, TimeUnit::kNone, kAnyNumber).items().size(), 300'001u);
    EXPECT_TRUE(JsonReadings(std::string(kSize, '['), TimeUnit::kNone, kAnyNumber).refusal());
    EXPECT_TRUE(JsonReadings("[" + std::string(kSize, ' '), TimeUnit::kNone, kAnyNumber).refusal());
    std::string ones = "[1";
    for (std::size_t i = 0; i < kSize / 2; ++i) ones += ",1";
    ones += "]";
    EXPECT_EQ(JsonReadings(ones, TimeUnit::kNone, 1000).refusal()->sqlstate, error_codes::kBatchTooLarge);
}

TEST(JsonReadings, AnyDoubleComesBack) {
    std::mt19937_64 random(1);
    std::vector<double> values;
    std::string text = "[";
    char item[200];
    while (values.size() < 200'000) {
        const double value = std::bit_cast<double>(random());
        if (!std::isfinite(value) || value == 0) continue;
        values.push_back(value);
        std::snprintf(item, sizeof item, R"(%s{"device_id":"d","temperature":%.17g,"metrics":{"m":%.17g}})",
                      values.size() > 1 ? "," : "", value, value);
        text += item;
    }
    text += "]";
    const JsonReadings readings(text, TimeUnit::kNone, values.size());
    ASSERT_EQ(readings.items().size(), values.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
        const auto& reading = readings.items()[i].reading;
        ASSERT_TRUE(reading.temperature) << readings.items()[i].text;
        ASSERT_EQ(std::bit_cast<std::uint64_t>(*reading.temperature), std::bit_cast<std::uint64_t>(values[i]));
        ASSERT_EQ(std::bit_cast<std::uint64_t>(reading.metrics[0].value), std::bit_cast<std::uint64_t>(values[i]));
    }
}

}  // namespace
