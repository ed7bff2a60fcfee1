// The tests try each rule at its limits, and read the words of every refusal.
#include "model/judge.hpp"

#include <cctype>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "error_codes.hpp"
#include "model/refusal_text.hpp"

namespace {

using model::DeviceNames;
using model::Metric;
using model::Micros;
using model::Reading;
using model::Refusal;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr Micros kNow = 820638245'000000;  // 2026-01-02 03:04:05 UTC
constexpr Micros kMaxAhead = 300'000000;
constexpr model::Policy policy_of(Micros max_ahead, std::optional<Micros> max_age = {},
                                  model::LimitAction ahead_action = model::LimitAction::kReject,
                                  model::LimitAction age_action = model::LimitAction::kReject, std::size_t max_metrics = 64) {
    return {.max_ahead = max_ahead,
            .max_age = max_age,
            .ahead_action = ahead_action,
            .age_action = age_action,
            .max_metrics = max_metrics};
}
constexpr model::Policy kPolicy = policy_of(kMaxAhead);

Refusal refusal_of(const Reading& reading) {
    return model::judge(reading, kNow, kPolicy).reason;
}

Reading good() {
    return {.device_id = "sensor-1",
            .measured_at = kNow,
            .temperature = 21.5,
            .humidity = 40,
            .idempotency_key = "key",
            .metrics = {},
            .region = "eu-west"};
}

template <typename Change>
Refusal refusal_with(Change change) {
    auto reading = good();
    change(reading);
    return refusal_of(reading);
}

TEST(Judge, AcceptsReadings) {
    EXPECT_EQ(refusal_of(good()), Refusal::kNone);
    EXPECT_EQ(refusal_of({.device_id = "d",
                          .measured_at = {},
                          .temperature = {},
                          .humidity = {},
                          .idempotency_key = {},
                          .metrics = {},
                          .region = {}}),
              Refusal::kNone);  // a heartbeat
    for (const double value : {0.0, -0.0, 5e-324, 1.7976931348623157e308, -1.7976931348623157e308}) {
        EXPECT_EQ(refusal_with([&](Reading& r) { r.temperature = r.humidity = value; }), Refusal::kNone);
    }
}

TEST(Judge, DeviceId) {
    const auto of = [](std::string_view id) { return refusal_with([&](Reading& r) { r.device_id = id; }); };
    for (const std::string& id :
         {std::string("a"), std::string(255, 'x'), std::string("Gerät 7/Küche 🌡"), std::string("'\"\\;--")}) {
        EXPECT_EQ(of(id), Refusal::kNone) << id;
    }
    for (const std::string& id :
         {std::string(), std::string(256, 'x'), std::string("a\nb"), std::string("a\tb"), std::string("a\x7f"),
          std::string("a\0b", 3), std::string("\x1f"), std::string(" a"), std::string("a "), std::string(" ")}) {
        EXPECT_EQ(of(id), Refusal::kDeviceId) << id;
    }
}

TEST(Judge, Region) {
    const auto of = [](std::string_view region) { return refusal_with([&](Reading& r) { r.region = region; }); };
    EXPECT_EQ(of("Süd/Halle 3"), Refusal::kNone);
    EXPECT_EQ(of(std::string(255, 'r')), Refusal::kNone);
    for (const std::string& region :
         {std::string(), std::string(256, 'r'), std::string("a\nb"), std::string(" a"), std::string("a ")}) {
        EXPECT_EQ(of(region), Refusal::kRegion);
    }
}

TEST(Judge, Key) {
    const auto of = [](std::string_view key) { return refusal_with([&](Reading& r) { r.idempotency_key = key; }); };
    EXPECT_EQ(of(" "), Refusal::kNone);
    EXPECT_EQ(of(std::string(512, 'k')), Refusal::kNone);
    EXPECT_EQ(of(""), Refusal::kKey);
    EXPECT_EQ(of(std::string(513, 'k')), Refusal::kKey);
    EXPECT_EQ(of("a\x01"), Refusal::kKey);
}

// These are Unicode's own lists: DerivedBidiClass, PropList (White_Space), UnicodeData (Cc, Zl, Zp) and DerivedCoreProperties
// (Default_Ignorable_Code_Point). Variation selectors are left out, because emoji and CJK names need them.
constexpr std::u32string_view kControls = U"\u0080\u0085\u0090\u009F";
constexpr std::u32string_view kInvisible =
    U"\u00AD\u034F\u061C\u115F\u1160\u17B4\u17B5\u180E\u200B\u200C\u200D\u200E\u200F\u2028\u2029\u202A\u202B\u202C\u202D\u202E"
    U"\u2060\u2061\u2064\u2066\u2067\u2068\u2069\u206A\u206F\u3164\uFEFF\uFFA0\uFFF9\uFFFB\U000E0001\U000E0041\U000E007F";
constexpr std::u32string_view kSpaces =
    U"\u0020\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u202F\u205F\u3000";
// These are their neighbours and lookalikes.
constexpr std::u32string_view kVisible =
    U"\u00A1\u00AC\u00AE\u034E\u0350\u061B\u061D\u115E\u1161\u17B3\u17B6\u180D\u180F\u2010\u2027\u2030\u205E\u2070\u3163\u3165"
    U"\uFE0F\uFEFE"
    U"\uFF9F\uFFA1\uFFF8\uFFFC\U000E0100\U0001F321\U0010FFFD";

std::string utf8(char32_t c) {
    std::string bytes;
    if (c < 0x80) return {static_cast<char>(c)};
    const int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    bytes += static_cast<char>((0xF0 << (3 - more) & 0xFF) | c >> (6 * more));
    for (int shift = 6 * (more - 1); shift >= 0; shift -= 6) bytes += static_cast<char>(0x80 | (c >> shift & 0x3F));
    return bytes;
}

// Returns whether each of the four kinds of names is accepted.
struct Accepted {
    bool device, region, key, metric;
    bool operator==(const Accepted&) const = default;
};
Accepted accepted(const std::string& name) {
    const std::vector<Metric> metrics = {{name, 1}};
    return {refusal_with([&](Reading& r) { r.device_id = name; }) == Refusal::kNone,
            refusal_with([&](Reading& r) { r.region = name; }) == Refusal::kNone,
            refusal_with([&](Reading& r) { r.idempotency_key = name; }) == Refusal::kNone,
            refusal_with([&](Reading& r) { r.metrics = metrics; }) == Refusal::kNone};
}
constexpr Accepted kAll{true, true, true, true}, kNone{false, false, false, false},
    kWhereSpacesMayEnd{false, false, true, true};

TEST(Judge, Characters) {
    for (const std::u32string_view refused : {kControls, kInvisible})
        for (const char32_t c : refused)
            for (const std::string& name : {"a" + utf8(c) + "b", utf8(c), "ä" + utf8(c), utf8(c) + "b"})
                EXPECT_EQ(accepted(name), kNone) << std::hex << static_cast<unsigned>(c);
    for (const char32_t c : kVisible)
        for (const std::string& name : {"a" + utf8(c) + "b", utf8(c), "ä" + utf8(c), utf8(c) + "b"})
            EXPECT_EQ(accepted(name), kAll) << std::hex << static_cast<unsigned>(c);
    for (const char32_t c : kSpaces) {
        EXPECT_EQ(accepted("a" + utf8(c) + "b"), kAll) << std::hex << static_cast<unsigned>(c);
        for (const std::string& name : {"a" + utf8(c), utf8(c) + "b", utf8(c), "ä" + utf8(c)})
            EXPECT_EQ(accepted(name), kWhereSpacesMayEnd) << std::hex << static_cast<unsigned>(c);
    }
}

// A database of encoding SQL_ASCII holds any bytes.
TEST(Judge, BytesThatAreNotUtf8) {
    for (const std::string name :
         {"\x80", "a\x85", "\xA0", "\xE2\x80", "\xC2", "a\xC2z", "\xFF\xFE", "\xED\xA0\x80", "\xC0\x8A", "\xF4\x90\x80\x80"})
        EXPECT_EQ(accepted(name), kAll);
    EXPECT_EQ(accepted("\xE2\xE2\x80\x8B"), kNone);
}

// The rules judge a name of another encoding by its Unicode form, and count the bytes that the database holds.
TEST(Judge, OtherEncodings) {
    const auto latin1 = [](std::string_view text) {
        std::string converted;
        for (const char c : text) converted += utf8(static_cast<unsigned char>(c));
        return converted;
    };
    const auto of = [&](std::string_view id) {
        auto reading = good();
        reading.device_id = id;
        return model::judge(reading, kNow, kPolicy, latin1).reason;
    };
    EXPECT_EQ(of("Ger\xE4t"), Refusal::kNone);
    EXPECT_EQ(of(std::string(255, '\xE4')), Refusal::kNone);
    EXPECT_EQ(of(std::string(256, '\xE4')), Refusal::kDeviceId);
    EXPECT_EQ(of("\xE2\x80\x8B"), Refusal::kDeviceId);
    EXPECT_EQ(of("\xE2\xA0\xAE"), Refusal::kNone);  // In UTF-8 it would be U+282E.
    EXPECT_EQ(of("a\x85z"), Refusal::kDeviceId);
    EXPECT_EQ(of("a\xA0"), Refusal::kDeviceId);
    auto reading = good();
    reading.device_id = "\xE4\xE4\x85";
    EXPECT_TRUE(model::describe(Refusal::kDeviceId, reading, kNow, kPolicy, latin1)
                    .detail.ends_with(", with the control character U+0085 as character 3."));
}

TEST(Judge, Values) {
    for (const double value : {kNan, kInfinity, -kInfinity}) {
        EXPECT_EQ(refusal_with([&](Reading& r) { r.temperature = value; }), Refusal::kTemperature);
        EXPECT_EQ(refusal_with([&](Reading& r) { r.humidity = value; }), Refusal::kHumidity);
        const std::vector<Metric> metrics = {{"co2", 412}, {"light", value}};
        EXPECT_EQ(refusal_with([&](Reading& r) { r.metrics = metrics; }), Refusal::kMetricValue);
    }
}

TEST(Judge, Metrics) {
    const auto named = [](std::string_view name) {
        const std::vector<Metric> metrics = {{"co2", 412}, {name, 1}};
        return refusal_with([&](Reading& r) { r.metrics = metrics; });
    };
    EXPECT_EQ(named("light 1 (lx)"), Refusal::kNone);
    EXPECT_EQ(named(std::string(128, 'm')), Refusal::kNone);
    EXPECT_EQ(named("Temperature"), Refusal::kNone);
    for (const std::string& name :
         {std::string(), std::string(129, 'm'), std::string("a\n"), std::string("temperature"), std::string("humidity")})
        EXPECT_EQ(named(name), Refusal::kMetricName) << name;
}

TEST(Judge, RegistrationObeysTheRulesOfAReading) {
    EXPECT_EQ(model::refusal_of(DeviceNames{"sensor-1", std::nullopt}), Refusal::kNone);
    EXPECT_EQ(model::refusal_of(DeviceNames{"sensor-1", "north"}), Refusal::kNone);
    EXPECT_EQ(model::refusal_of(DeviceNames{"", "north"}), Refusal::kDeviceId);
    EXPECT_EQ(model::refusal_of(DeviceNames{" sensor-1", ""}), Refusal::kDeviceId);
    EXPECT_EQ(model::refusal_of(DeviceNames{"sensor-1", "north "}), Refusal::kRegion);
    EXPECT_EQ(model::describe(Refusal::kDeviceId, DeviceNames{"", {}}).detail, "device_id is empty.");
    EXPECT_EQ(model::describe(Refusal::kRegion, DeviceNames{"sensor-1", ""}).detail, "region of device \"sensor-1\" is empty.");
}

TEST(Judge, MeasuredAt) {
    const auto of = [](Micros at, Micros received_at = kNow, Micros max_ahead = kMaxAhead) {
        auto reading = good();
        reading.measured_at = at;
        return model::judge(reading, received_at, policy_of(max_ahead)).reason;
    };
    EXPECT_EQ(of(-946684800000000), Refusal::kNone);
    EXPECT_EQ(of(-946684800000001), Refusal::kTooEarly);
    EXPECT_EQ(of(INT64_MIN), Refusal::kTooEarly);
    EXPECT_EQ(of(kNow + kMaxAhead), Refusal::kNone);
    EXPECT_EQ(of(kNow + kMaxAhead + 1), Refusal::kTooFarAhead);
    EXPECT_EQ(of(INT64_MAX), Refusal::kTooFarAhead);
    EXPECT_EQ(of(kNow, kNow, 0), Refusal::kNone);
    EXPECT_EQ(of(kNow + 1, kNow, 0), Refusal::kTooFarAhead);
    // Infinity stays out of range when the limit overflows.
    EXPECT_EQ(of(INT64_MAX, kNow, INT64_MAX), Refusal::kTooFarAhead);
    EXPECT_EQ(of(INT64_MAX, INT64_MAX, 0), Refusal::kTooFarAhead);
    EXPECT_EQ(of(INT64_MAX - 1, kNow, INT64_MAX), Refusal::kNone);
}

// What is decided of a reading that is too far from the time of receipt depends on the policy. Nothing helps an infinity, a
// time before 1970 or another flaw.
TEST(Judge, ActionsAtTheLimitsOfTime) {
    using model::Decision;
    using model::LimitAction;
    constexpr Micros kMaxAge = 3600'000000;
    struct Expected {
        LimitAction action;
        Decision decision;
    };
    for (const auto& [action, decision] :
         {Expected{LimitAction::kReject, Decision::kRefuse}, Expected{LimitAction::kClamp, Decision::kClamp},
          Expected{LimitAction::kQuarantine, Decision::kQuarantine}}) {
        const model::Policy ahead = policy_of(kMaxAhead, kMaxAge, action);
        const model::Policy behind = policy_of(kMaxAhead, kMaxAge, LimitAction::kReject, action);
        const auto judged = [](const model::Policy& policy, Micros at, double temperature = 1) {
            auto reading = good();
            reading.measured_at = at;
            reading.temperature = temperature;
            return model::judge(reading, kNow, policy);
        };
        EXPECT_EQ(judged(ahead, kNow + kMaxAhead).decision, Decision::kAccept);
        EXPECT_EQ(judged(ahead, kNow + kMaxAhead + 1).decision, decision);
        EXPECT_EQ(judged(ahead, kNow + kMaxAhead + 1).reason, Refusal::kTooFarAhead);
        EXPECT_EQ(judged(behind, kNow + kMaxAhead + 1).decision, Decision::kRefuse);
        EXPECT_EQ(judged(behind, kNow - kMaxAge).decision, Decision::kAccept);
        EXPECT_EQ(judged(behind, kNow - kMaxAge - 1).decision, decision);
        EXPECT_EQ(judged(behind, kNow - kMaxAge - 1).reason, Refusal::kTooOld);
        EXPECT_EQ(judged(ahead, kNow - kMaxAge - 1).decision, Decision::kRefuse);
        EXPECT_EQ(judged(ahead, INT64_MAX).decision, Decision::kRefuse);
        EXPECT_EQ(judged(behind, INT64_MIN).decision, Decision::kRefuse);
        EXPECT_EQ(judged(behind, -946684800000001).reason, Refusal::kTooEarly);
        EXPECT_EQ(judged(ahead, kNow + kMaxAhead + 1, kNan).decision, Decision::kRefuse);
        EXPECT_EQ(judged(behind, kNow - kMaxAge - 1, kNan).reason, Refusal::kTemperature);
    }
    // Without a limit of age, any time since 1970 will do.
    auto reading = good();
    reading.measured_at = -946684800000000;
    EXPECT_EQ(model::judge(reading, kNow, kPolicy).decision, Decision::kAccept);
}

// temperature is -40 to 85, humidity at most 100, "light" at least 0; other metrics have no limits.
const model::MetricLimits* limits_of(std::string_view metric) noexcept {
    static constexpr model::MetricLimits kOfTemperature{-40, 85, "°C"};
    static constexpr model::MetricLimits kOfHumidity{-kInfinity, 100, {}};
    static constexpr model::MetricLimits kOfLight{0, kInfinity, "lx"};
    if (metric == "temperature") return &kOfTemperature;
    if (metric == "humidity") return &kOfHumidity;
    return metric == "light" ? &kOfLight : nullptr;
}

TEST(Judge, LimitsOfMetrics) {
    model::Policy policy = kPolicy;
    std::vector<Metric> metrics = {{"co2", -1e9}, {"light", 1}};
    const auto of = [&policy, &metrics](double temperature, double humidity, double light) {
        auto reading = good();
        reading.temperature = temperature;
        reading.humidity = humidity;
        metrics[1].value = light;
        reading.metrics = metrics;
        return model::judge(reading, kNow, policy);
    };
    EXPECT_EQ(of(-1000, 1000, -1000).reason, Refusal::kNone);
    policy.limits_of = limits_of;
    EXPECT_EQ(of(-40, 100, 0).reason, Refusal::kNone);
    EXPECT_EQ(of(85, -1e300, 1e300).reason, Refusal::kNone);
    EXPECT_EQ(of(-0.0, 0, -0.0).reason, Refusal::kNone);
    EXPECT_EQ(of(-40.000001, 0, 0).reason, Refusal::kOutOfLimits);
    EXPECT_EQ(of(85.000001, 0, 0).reason, Refusal::kOutOfLimits);
    EXPECT_EQ(of(0, 100.000001, 0).reason, Refusal::kOutOfLimits);
    EXPECT_EQ(of(0, 0, -5e-324).reason, Refusal::kOutOfLimits);
    EXPECT_EQ(of(0, 0, -1).decision, model::Decision::kRefuse);
    // What is no number is told as such, and values come before the clock.
    EXPECT_EQ(of(kNan, 0, 0).reason, Refusal::kTemperature);
    EXPECT_EQ(of(0, 0, kInfinity).reason, Refusal::kMetricValue);
    policy.max_ahead = -3600'000000;
    EXPECT_EQ(of(0, 0, 0).reason, Refusal::kTooFarAhead);
    EXPECT_EQ(of(0, 0, -1).reason, Refusal::kOutOfLimits);
    // Values that were not sent have no limits.
    policy = kPolicy;
    policy.limits_of = limits_of;
    auto heartbeat = good();
    heartbeat.temperature = heartbeat.humidity = std::nullopt;
    EXPECT_EQ(model::judge(heartbeat, kNow, policy).reason, Refusal::kNone);
}

TEST(RefusalText, NamesTheLimits) {
    model::Policy policy = kPolicy;
    policy.limits_of = limits_of;
    const std::vector<Metric> metrics = {{"co2", 1}, {"light", -0.5}};
    auto reading = good();
    const auto detail = [&policy, &reading] { return model::describe(Refusal::kOutOfLimits, reading, kNow, policy).detail; };
    reading.temperature = 85.5;
    EXPECT_EQ(detail(), "Metric \"temperature\" of device \"sensor-1\" is 85.5 °C; allowed is -40 to 85 °C.");
    reading.temperature = 0;
    reading.humidity = 1e300;
    EXPECT_EQ(detail(), "Metric \"humidity\" of device \"sensor-1\" is 1e+300; allowed is at most 100.");
    reading.humidity = 0;
    reading.metrics = metrics;
    EXPECT_EQ(detail(), "Metric \"light\" of device \"sensor-1\" is -0.5 lx; allowed is at least 0 lx.");
    EXPECT_EQ(model::describe(Refusal::kOutOfLimits, reading, kNow, policy).sqlstate, error_codes::kOutOfLimits);
    // The hint leads to where the limit stands.
    for (const Refusal refusal : {Refusal::kTooFarAhead, Refusal::kTooOld}) {
        policy.is_of_device = false;
        EXPECT_NE(model::describe(refusal, reading, kNow, policy).hint.find("telemetry_cqrs.max_"), std::string::npos);
        policy.is_of_device = true;
        EXPECT_NE(model::describe(refusal, reading, kNow, policy).hint.find("of the device (telemetry.set_device_policy())"),
                  std::string::npos);
    }
}

TEST(Judge, CountsMetrics) {
    std::vector<Metric> metrics;
    std::vector<std::string> names;
    for (int i = 0; i < 65; ++i) names.push_back("m" + std::to_string(i));
    for (const std::string& name : names) metrics.push_back({name, 1});
    EXPECT_EQ(refusal_with([&](Reading& r) { r.metrics = metrics; }), Refusal::kTooManyMetrics);
    metrics.pop_back();
    EXPECT_EQ(refusal_with([&](Reading& r) { r.metrics = metrics; }), Refusal::kNone);
}

template <typename Change>
model::RefusalText text_with(Change change) {
    auto reading = good();
    change(reading);
    return model::describe(refusal_of(reading), reading, kNow, kPolicy);
}

TEST(RefusalText, SaysWhatWasSeen) {
    const auto device = text_with([](Reading& r) { r.device_id = "a\nb"; });
    EXPECT_EQ(device.sqlstate, error_codes::kInvalidDeviceId);
    EXPECT_EQ(device.message, "device_id is not valid");
    EXPECT_EQ(device.detail, "device_id is \"a\\x0Ab\", with a control character as character 2.");
    EXPECT_EQ(device.hint, "A device_id has 1 to 255 bytes, no control or invisible characters, and no space at either end.");
    EXPECT_EQ(text_with([](Reading& r) { r.device_id = ""; }).detail, "device_id is empty.");
    EXPECT_EQ(text_with([](Reading& r) { r.device_id = "a "; }).detail, "device_id is \"a \", with a space at an end.");
    EXPECT_EQ(text_with([](Reading& r) { r.device_id = "ä\u0085z"; }).detail,
              "device_id is \"ä\\u0085z\", with the control character U+0085 as character 2.");
    EXPECT_EQ(text_with([](Reading& r) { r.device_id = "a\u200B\u202Ez"; }).detail,
              "device_id is \"a\\u200B\\u202Ez\", with the invisible character U+200B as character 2.");
    EXPECT_EQ(text_with([](Reading& r) { r.device_id = "a\U000E0041"; }).detail,
              "device_id is \"a\\U000E0041\", with the invisible character U+E0041 as character 2.");
    EXPECT_EQ(text_with([](Reading& r) { r.device_id = "a\u00A0"; }).detail,
              "device_id is \"a\\u00A0\", with a space, U+00A0, at an end.");
    EXPECT_EQ(text_with([](Reading& r) { r.device_id = "\u3000a"; }).detail,
              "device_id is \"\\u3000a\", with a space, U+3000, at an end.");
    const std::string long_id(300, 'x');
    EXPECT_EQ(text_with([&](Reading& r) { r.device_id = long_id; }).detail,
              "device_id is \"" + std::string(60, 'x') + "...\", 300 bytes long; at most 255 are allowed.");

    const auto region = text_with([](Reading& r) { r.region = ""; });
    EXPECT_EQ(region.sqlstate, error_codes::kInvalidRegion);
    EXPECT_EQ(region.detail, "region of device \"sensor-1\" is empty.");

    const auto key = text_with([](Reading& r) { r.idempotency_key = ""; });
    EXPECT_EQ(key.sqlstate, error_codes::kInvalidKey);
    EXPECT_EQ(key.detail, "idempotency_key of device \"sensor-1\" is empty.");

    const auto temperature = text_with([](Reading& r) { r.temperature = -kInfinity; });
    EXPECT_EQ(temperature.sqlstate, error_codes::kNotFinite);
    EXPECT_EQ(temperature.message, "temperature is not a finite number");
    EXPECT_EQ(temperature.detail, "temperature of device \"sensor-1\" is -Infinity.");
    EXPECT_EQ(text_with([](Reading& r) { r.humidity = kNan; }).detail, "humidity of device \"sensor-1\" is NaN.");

    const std::vector<Metric> metrics = {{"a", 1}, {"co2", kInfinity}};
    const auto metric = text_with([&](Reading& r) { r.metrics = metrics; });
    EXPECT_EQ(metric.sqlstate, error_codes::kNotFinite);
    EXPECT_EQ(metric.message, "metric is not a finite number");
    EXPECT_EQ(metric.detail, "metric \"co2\" of device \"sensor-1\" is Infinity.");

    const std::vector<Metric> reserved = {{"a", 1}, {"humidity", 1}};
    const auto name = text_with([&](Reading& r) { r.metrics = reserved; });
    EXPECT_EQ(name.sqlstate, error_codes::kInvalidMetrics);
    EXPECT_EQ(name.detail, "The name of a metric of device \"sensor-1\" is \"humidity\", which is a field of its own.");
    const std::vector<Metric> nameless = {{"", 1}};
    EXPECT_EQ(text_with([&](Reading& r) { r.metrics = nameless; }).detail,
              "The name of a metric of device \"sensor-1\" is empty.");

    const auto early = text_with([](Reading& r) { r.measured_at = -946684800000001; });
    EXPECT_EQ(early.sqlstate, error_codes::kMeasuredAtOutOfRange);
    EXPECT_EQ(early.detail,
              "measured_at of device \"sensor-1\" is 1969-12-31T23:59:59.999999Z, before 1970-01-01T00:00:00.000000Z.");
    const auto ahead = text_with([](Reading& r) { r.measured_at = INT64_MAX; });
    EXPECT_EQ(ahead.detail,
              "measured_at of device \"sensor-1\" is infinity, more than 300 seconds ahead of the server's clock, "
              "2026-01-02T03:04:05.000000Z.");
    const model::Policy with_age = policy_of(0, 3600'000000, model::LimitAction::kReject, model::LimitAction::kReject, 3);
    const model::Policy exact = policy_of(50'000, 1'000'000, model::LimitAction::kReject, model::LimitAction::kReject, 3);
    auto reading = good();
    reading.measured_at = kNow + 50'001;
    EXPECT_EQ(model::describe(Refusal::kTooFarAhead, reading, kNow, exact).detail,
              "measured_at of device \"sensor-1\" is 2026-01-02T03:04:05.050001Z, more than 0.05 seconds ahead of the server's "
              "clock, 2026-01-02T03:04:05.000000Z.");
    reading.measured_at = kNow - 1'000'001;
    EXPECT_EQ(model::describe(Refusal::kTooOld, reading, kNow, exact).detail,
              "measured_at of device \"sensor-1\" is 2026-01-02T03:04:03.999999Z, more than 1 second before the server's "
              "clock, 2026-01-02T03:04:05.000000Z.");
    reading.measured_at = kNow - 3600'000001;
    EXPECT_EQ(model::describe(Refusal::kTooOld, reading, kNow, with_age).detail,
              "measured_at of device \"sensor-1\" is 2026-01-02T02:04:04.999999Z, more than 3600 seconds before the server's "
              "clock, 2026-01-02T03:04:05.000000Z.");
    reading.metrics = metrics;
    EXPECT_EQ(model::describe(Refusal::kTooManyMetrics, reading, kNow, with_age).detail,
              "The reading of device \"sensor-1\" has 2; at most 3 are allowed.");
}

void expect_complete_and_short(const std::string& long_text) {
    const std::vector<Metric> metrics = {{long_text, kNan}};
    const Reading reading{.device_id = long_text,
                          .measured_at = 0,
                          .temperature = kNan,
                          .humidity = kNan,
                          .idempotency_key = long_text,
                          .metrics = metrics,
                          .region = long_text};
    model::Policy policy = kPolicy;
    policy.limits_of = limits_of;
    for (int i = static_cast<int>(Refusal::kDeviceId); i <= static_cast<int>(Refusal::kTooOld); ++i) {
        const auto text = model::describe(static_cast<Refusal>(i), reading, kNow, policy);
        EXPECT_NE(text.sqlstate, 0) << i;
        EXPECT_LT(text.message.size(), 60u);
        EXPECT_TRUE(std::islower(static_cast<unsigned char>(text.message.front())));
        EXPECT_LT(text.detail.size(), 700u) << text.detail;
        EXPECT_EQ(text.detail.back(), '.');
        EXPECT_EQ(text.hint.back(), '.');
        EXPECT_EQ(text.detail.find('\n'), std::string::npos);
    }
}

TEST(RefusalText, OfEveryRefusalIsCompleteAndShort) {
    std::string invisible;
    while (invisible.size() < 100000) invisible += utf8(U'\u202E');
    for (const std::string& long_text : {std::string(100000, '\n'), invisible}) expect_complete_and_short(long_text);
}

TEST(RefusalText, CutsBetweenCharacters) {
    for (const std::string& character : {std::string("x"), std::string("é"), std::string("€"), std::string("🌡")})
        for (std::size_t before = 0; before < 4; ++before) {
            std::string text(before, 'a');
            while (text.size() < 100) text += character;
            const auto quoted = model::quoted_for_message(text);
            ASSERT_TRUE(quoted.starts_with('"') && quoted.ends_with("...\""));
            const auto shown = quoted.substr(1, quoted.size() - 5);
            EXPECT_TRUE(text.starts_with(shown));
            EXPECT_EQ((shown.size() - before) % character.size(), 0u) << quoted;
            EXPECT_GE(shown.size(), 57u);
            EXPECT_LE(shown.size(), 60u);
        }
    EXPECT_EQ(model::quoted_for_message(std::string(60, 'x')), '"' + std::string(60, 'x') + '"');
}

}  // namespace
