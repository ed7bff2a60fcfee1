// The text form of a summary reads back bit for bit, and the parser takes nothing else.
#include "summary/summary_text.hpp"

#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <string>

#include <gtest/gtest.h>

#include "owned_sketch.hpp"
#include "same_bits.hpp"

namespace {

using model::Micros;
using summary::parse_summary;
using summary::Statistics;
using summary::Summary;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

const std::string kGood =
    R"({"version":1,"count":2,"mean":1.5,"m2":0.5,"min":1,"max":2,"first_value":1,"last_value":2,"first_at":-60000000,"last_at":60000000})";

std::string with(std::string_view what, std::string_view replacement) {
    auto text = kGood;
    const auto at = text.find(what);
    EXPECT_NE(at, std::string::npos) << what;
    return text.replace(at, what.size(), replacement);
}

TEST(SummaryText, IsWrittenAsDocumented) {
    Statistics summary;
    summary::add(summary, 1, -60000000);
    summary::add(summary, 2, 60000000);
    EXPECT_EQ(summary::to_text(Summary{summary, {}, {}}), kGood);
}

TEST(SummaryText, WritesAnInfiniteM2AsString) {
    Statistics summary;
    summary::add(summary, 1e308, 1);
    summary::add(summary, -1e308, 2);
    const auto text = summary::to_text(Summary{summary, {}, {}});
    EXPECT_NE(text.find(R"("m2":"Infinity")"), std::string::npos) << text;
    ASSERT_TRUE(parse_summary(text));
    EXPECT_EQ(parse_summary(text)->statistics.m2, kInfinity);
}

TEST(SummaryText, ReadsBackBitForBit) {
    std::mt19937_64 random(11);
    for (int round = 0; round < 2000; ++round) {
        Statistics summary;
        const auto count = 1 + random() % 5;
        for (std::uint64_t i = 0; i < count; ++i) {
            double value = std::bit_cast<double>(random());
            if (!std::isfinite(value)) value = 0;
            summary::add(summary, value, static_cast<Micros>(random()));
        }
        const auto text = summary::to_text(Summary{summary, {}, {}});
        const auto read = parse_summary(text);
        ASSERT_TRUE(read) << text;
        expect_same_bits(read->statistics, summary);
    }
}

TEST(SummaryText, TakesAnyOrderAndWhiteSpace) {
    const auto read = parse_summary(
        " {\"last_at\" : 7 ,\n\t\"first_at\":7,\"last_value\":2.0,\"first_value\":2e0,\"max\":20E-1,\r\"min\":0.2e+1,"
        "\"m2\":0,\"mean\":2,\"count\":1,\"version\":1 } \n");
    ASSERT_TRUE(read);
    EXPECT_EQ(read->statistics.count, 1);
    EXPECT_EQ(read->statistics.max, 2);
    EXPECT_EQ(read->statistics.first_at, 7);
}

TEST(SummaryText, RefusesOtherTexts) {
    ASSERT_TRUE(parse_summary(kGood));
    const std::string refused[] = {
        "",
        "{}",
        "null",
        "[]",
        "{",
        kGood + "x",
        kGood + kGood,
        "x" + kGood,
        kGood.substr(0, kGood.size() - 1),
        with("\"version\":1", "\"version\":2"),
        with("\"version\":1,", ""),
        with("\"version\":1", "\"version\":1,\"version\":1"),
        with("\"version\":1", "\"count\":2"),
        with("\"version\":1", "\"Version\":1"),
        with("\"version\":1", "\"version\":\"1\""),
        with("\"version\":1", "\"version\":1,\"extra\":1"),
        with(",\"mean\"", ",,\"mean\""),
        with("60000000}", "60000000,}"),
        with("\"count\":2", "\"count\":0"),
        with("\"count\":2", "\"count\":-2"),
        with("\"count\":2", "\"count\":2.0"),
        with("\"count\":2", "\"count\":2e0"),
        with("\"count\":2", "\"count\":9223372036854775808"),
        with("\"count\":2", "\"count\":"),
        with("\"mean\":1.5", "\"mean\":NaN"),
        with("\"mean\":1.5", "\"mean\":\"Infinity\""),
        with("\"mean\":1.5", "\"mean\":inf"),
        with("\"mean\":1.5", "\"mean\":3"),
        with("\"mean\":1.5", "\"mean\":null"),
        with("\"mean\":1.5", "\"mean\":1.5.0"),
        with("\"m2\":0.5", "\"m2\":-0.5"),
        with("\"m2\":0.5", "\"m2\":Infinity"),
        with("\"m2\":0.5", "\"m2\":\"-Infinity\""),
        with("\"m2\":0.5", "\"m2\":nan"),
        with("\"m2\":0.5", "\"m2\":1e999"),
        with("\"m2\":0.5", "\"m2\":.5"),
        with("\"m2\":0.5", "\"m2\":5."),
        with("\"m2\":0.5", "\"m2\":00.5"),
        with("\"m2\":0.5", "\"m2\":+0.5"),
        with("\"m2\":0.5", "\"m2\":0.5e"),
        with("\"m2\":0.5", "\"m2\":0x1p3"),
        with("\"m2\":0.5", "\"m2\":-"),
        with("\"min\":1", "\"min\":4"),
        with("\"max\":2", "\"max\":-1e999"),
        with("\"first_value\":1", "\"first_value\":0"),
        with("\"last_value\":2", "\"last_value\":2.5"),
        with("\"first_at\":-60000000", "\"first_at\":60000001"),
        with("\"first_at\":-60000000", "\"first_at\":-9223372036854775809"),
    };
    for (const auto& text : refused) EXPECT_FALSE(parse_summary(text)) << text;
}

// The bin of 2 has the exponent 35, because ln 2 / ln(1.01 / 0.99) is 34.66.
const std::string kSketched =
    R"({"version":2,"count":4,"mean":0,"m2":8,"min":-2,"max":2,"first_value":-2,"last_value":2,"first_at":0,"last_at":3,)"
    R"("sketch":{"zero":2,"negative":[[35,1]],"positive":[[35,1]]}})";

std::string sketched_with(std::string_view what, std::string_view replacement) {
    auto text = kSketched;
    const auto at = text.find(what);
    EXPECT_NE(at, std::string::npos) << what;
    return text.replace(at, what.size(), replacement);
}

TEST(SummaryText, WritesASketchAsDocumented) {
    Summary summary;
    OwnedSketch sketch;
    Micros at = 0;
    for (const double value : {-2.0, 0.0, 0.0, 2.0}) {
        summary::add(summary.statistics, value, at++);
        sketch.add(value);
    }
    summary.sketch.emplace(sketch.bins().begin(), sketch.bins().end());
    EXPECT_EQ(summary::to_text(summary), kSketched);
    EXPECT_EQ(summary::to_text(parse_summary(kSketched).value()), kSketched);
}

const std::string kCounter =
    R"({"version":3,"count":3,"mean":14,"m2":186,"min":3,"max":21,"first_value":18,"last_value":3,"first_at":0,"last_at":3,)"
    R"("counter":{"resets":1,"fallen_from":21,"overlaps":false}})";

TEST(SummaryText, WritesACounterAsDocumented) {
    Summary summary;
    Micros at = 0;
    for (const double value : {18.0, 21.0, 3.0}) summary::add(summary.statistics, value, at++);
    summary.statistics.last_at = 3;
    summary.counter = {.resets = 1, .fallen_from = 21};
    EXPECT_EQ(summary::to_text(summary), kCounter);
    EXPECT_EQ(summary::to_text(parse_summary(kCounter).value()), kCounter);

    summary.counter->overlaps = true;
    summary.sketch = {{summary::bin_of(18), 3}};
    const auto read = parse_summary(summary::to_text(summary));
    ASSERT_TRUE(read && read->counter && read->sketch);
    EXPECT_TRUE(read->counter->overlaps);
    EXPECT_EQ(summary::to_text(*read), summary::to_text(summary));
}

TEST(SummaryText, RefusesOtherCounters) {
    const auto counter_with = [](std::string_view what, std::string_view replacement) {
        auto text = kCounter;
        const auto at = text.find(what);
        EXPECT_NE(at, std::string::npos) << what;
        return text.replace(at, what.size(), replacement);
    };
    const std::string refused[] = {
        counter_with("\"version\":3", "\"version\":1"),
        counter_with("\"version\":3", "\"version\":2"),
        counter_with(R"(,"counter":{"resets":1,"fallen_from":21,"overlaps":false})", ""),
        counter_with("\"resets\":1,", ""),
        counter_with("\"resets\":1", "\"resets\":0"),
        counter_with("\"resets\":1", "\"resets\":3"),
        counter_with("\"resets\":1", "\"resets\":-1"),
        counter_with("\"resets\":1,\"fallen_from\":21", "\"resets\":0,\"fallen_from\":-0"),
        counter_with("\"fallen_from\":21", "\"fallen_from\":\"Infinity\""),
        counter_with("\"overlaps\":false", "\"overlaps\":0"),
        counter_with("\"overlaps\":false", "\"overlaps\":null"),
    };
    for (const auto& text : refused) EXPECT_FALSE(parse_summary(text)) << text;
}

TEST(SummaryText, ReadsASketchBack) {
    std::mt19937_64 random(12);
    for (int round = 0; round < 300; ++round) {
        Summary summary;
        OwnedSketch sketch;
        for (auto left = 1 + random() % 50; left > 0; --left) {
            double value = std::bit_cast<double>(random());
            if (!std::isfinite(value)) value = 0;
            summary::add(summary.statistics, value, static_cast<Micros>(random()));
            sketch.add(value);
        }
        summary.sketch.emplace(sketch.bins().begin(), sketch.bins().end());
        const auto text = summary::to_text(summary);
        const auto read = parse_summary(text);
        ASSERT_TRUE(read && read->sketch) << text;
        expect_same_bits(read->statistics, summary.statistics);
        ASSERT_EQ(summary::to_text(*read), text);
    }
}

TEST(SummaryText, TakesASketchInAnyOrder) {
    const auto read = parse_summary(
        R"({ "sketch" : { "positive" : [ [ 35 , 1 ] ] , "zero" : 2 , "negative" : [ [ 35 , 1 ] ] } , "max":2,"min":-2,"version":2,)"
        R"("count":4,"mean":0,"m2":8,"first_value":-2,"last_value":2,"first_at":0,"last_at":3})");
    ASSERT_TRUE(read);
    EXPECT_EQ(summary::to_text(*read), kSketched);
}

TEST(SummaryText, RefusesOtherSketches) {
    ASSERT_TRUE(parse_summary(kSketched));
    std::string many = "[1,1]";
    for (int i = 2; i <= 2048; ++i) many += ",[" + std::to_string(i) + ",1]";
    const std::string refused[] = {
        sketched_with("\"version\":2", "\"version\":1"),
        sketched_with("\"version\":2", "\"version\":3"),
        sketched_with(R"(,"sketch":{"zero":2,"negative":[[35,1]],"positive":[[35,1]]})", ""),
        sketched_with("\"last_at\":3,", ""),
        sketched_with(R"({"zero":2,"negative":[[35,1]],"positive":[[35,1]]})", "null"),
        sketched_with(R"({"zero":2,"negative":[[35,1]],"positive":[[35,1]]})", "[]"),
        sketched_with(R"({"zero":2,"negative":[[35,1]],"positive":[[35,1]]})", "{}"),
        sketched_with("\"zero\":2,", ""),
        sketched_with("\"zero\":2", "\"zero\":2,\"zero\":2"),
        sketched_with("\"zero\":2", "\"zero\":1"),
        sketched_with("\"zero\":2", "\"zero\":-2"),
        sketched_with("\"zero\":2", "\"zero\":2.0"),
        sketched_with("\"positive\":[[35,1]]", "\"positive\":[]"),
        sketched_with("\"positive\":[[35,1]]", "\"positive\":[[35,1]"),
        sketched_with("\"positive\":[[35,1]]", "\"positive\":[35,1]"),
        sketched_with("\"positive\":[[35,1]]", "\"positive\":[[35,1],]"),
        sketched_with("\"positive\":[[35,1]]", "\"positive\":[[35]]"),
        sketched_with("\"positive\":[[35,1]]", "\"positive\":[[35,1,1]]"),
        sketched_with("\"positive\":[[35,1]]", "\"positive\":[[99999,1]]"),
        sketched_with("\"zero\":2,\"negative\":[[35,1]],\"positive\":[[35,1]]",
                      "\"zero\":0,\"negative\":[[35,1]],\"positive\":[[36,2],[35,1]]"),
        sketched_with("\"zero\":2,\"negative\":[[35,1]],\"positive\":[[35,1]]",
                      "\"zero\":0,\"negative\":[[35,1]],\"positive\":[[35,2],[35,1]]"),
        sketched_with("\"min\":-2", "\"min\":2"),
        sketched_with("\"first_value\":-2,", "\"first_value\":0,").replace(kSketched.find("\"min\":-2"), 8, "\"min\":0"),
        sketched_with("\"count\":4", "\"count\":2051")
            .replace(kSketched.find("\"positive\"") + 3, 21, "\"positive\":[" + many + "]"),
    };
    for (const auto& text : refused) EXPECT_FALSE(parse_summary(text)) << text;
}

TEST(SummaryText, AnyCutOrChangedByteIsRefusedOrConsistent) {
    std::mt19937_64 random(3);
    for (const auto& good : {kGood, kSketched, kCounter})
        for (std::size_t length = 0; length < good.size(); ++length) EXPECT_FALSE(parse_summary(good.substr(0, length)));
    for (int round = 0; round < 40000; ++round) {
        auto text = round % 3 == 0 ? kGood : round % 3 == 1 ? kSketched : kCounter;
        text[random() % text.size()] = static_cast<char>(random());
        const auto read = parse_summary(text);
        EXPECT_TRUE(!read || summary::is_consistent(*read)) << text;
    }
}

}  // namespace
