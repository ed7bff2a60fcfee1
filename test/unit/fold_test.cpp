// A fold of random readings equals one that the test makes reading by reading from the definitions.
#include "projection/fold.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <iterator>
#include <limits>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <span>
#include <sstream>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "owned_sketch.hpp"
#include "random_samples.hpp"

namespace {

using model::Micros;
using projection::Filter;
using projection::Fold;
using projection::Gathered;
using projection::KeyOrder;
using projection::Orders;
using read_model::Grain;
using read_model::GroupDelta;
using read_model::MetricDelta;
using read_model::NamedMetricDelta;
using summary::Point;
using test::kHour;
using test::kMinute;
using test::Sample;

constexpr std::size_t kAll = std::numeric_limits<std::size_t>::max();  // bytes: all deltas are taken at once

// --- a fold from the definitions ---------------------------------------------------------------------------------------

using Texts = std::set<std::string, std::less<>>;

// What a projection takes; nothing: it takes all. Without counters the projection keeps none.
struct Taken {
    std::optional<Texts> devices{}, regions{}, metrics{}, counters{};
};

bool takes(const std::optional<Texts>& texts, std::string_view text) {
    return !texts || texts->contains(text);
}

Filter filter_of(const Taken& taken) {
    const auto function_of = [](const std::optional<Texts>& texts) -> std::function<bool(std::string_view)> {
        if (!texts) return nullptr;
        return [&texts](std::string_view text) { return texts->contains(text); };
    };
    return {.takes_device = function_of(taken.devices),
            .takes_region = function_of(taken.regions),
            .takes_metric = function_of(taken.metrics),
            .is_counter = function_of(taken.counters)};
}

Texts random_texts(std::mt19937_64& random, std::span<const std::string_view> texts) {
    Texts some;
    for (const std::string_view text : texts)
        if (random() % 3 != 0) some.emplace(text);
    return some;
}

Texts random_metrics(std::mt19937_64& random) {
    Texts some = random_texts(random, test::kMetrics);
    some.merge(random_texts(random, std::vector<std::string_view>{"temperature", "humidity"}));
    return some;
}

struct GroupName {
    std::string key;
    Micros bucket;
    friend bool operator<(const GroupName& a, const GroupName& b) {
        return a.key == b.key ? a.bucket < b.bucket : test::is_less(a.key, b.key);
    }
};

struct Group {
    std::vector<Sample> samples;
    std::map<std::string, std::vector<Point>> values;  // by metric
};

using Groups = std::map<GroupName, Group>;

GroupName group_name(const read_model::Definition& definition, const Sample& sample) {
    GroupName name{.key = {}, .bucket = read_model::kAllTime};
    if (definition.grain == Grain::kDevice) name.key = sample.device;
    if (definition.grain == Grain::kRegion) name.key = sample.region;
    if (definition.bucket_width > 0) {
        name.bucket = sample.measured_at / definition.bucket_width * definition.bucket_width;
        if (name.bucket > sample.measured_at) name.bucket -= definition.bucket_width;
    }
    return name;
}

Groups groups_of(const read_model::Definition& definition, const Taken& taken, const std::vector<Sample>& samples) {
    Groups groups;
    for (const Sample& each : samples) {
        if (!takes(taken.devices, each.device) || !takes(taken.regions, each.region)) continue;
        Group& group = groups[group_name(definition, each)];
        group.samples.push_back(each);
        const auto add = [&](const std::string& metric, std::optional<double> value) {
            if (!value || !std::isfinite(*value) || !takes(taken.metrics, metric)) return;
            group.values[metric].push_back({*value == 0 ? 0.0 : *value, each.measured_at});  // no negative zero
        };
        add("temperature", each.temperature);
        add("humidity", each.humidity);
        for (const auto& [name, value] : each.metrics) add(name, value);
    }
    return groups;
}

// --- comparison --------------------------------------------------------------------------------------------------------

bool comes_before(const Point& a, const Point& b) {
    return std::tie(a.at, a.value) < std::tie(b.at, b.value);
}

void expect_same(double found, double expected) {
    EXPECT_EQ(found, expected);
    EXPECT_EQ(std::signbit(found), std::signbit(expected));
}

// Computes mean and M2 in two passes and in extended precision.
void expect_statistics(const summary::Statistics& found, std::vector<Point> points) {
    ASSERT_EQ(found.count, static_cast<std::int64_t>(points.size()));
    if (points.empty()) return;
    long double sum = 0, m2 = 0;
    for (const Point& each : points) sum += each.value;
    const long double mean = sum / static_cast<long double>(points.size());
    for (const Point& each : points) m2 += (each.value - mean) * (each.value - mean);

    std::ranges::sort(points, comes_before);
    expect_same(found.first_value, points.front().value);
    expect_same(found.last_value, points.back().value);
    EXPECT_EQ(found.first_at, points.front().at);
    EXPECT_EQ(found.last_at, points.back().at);
    const auto [least, greatest] = std::ranges::minmax_element(points, {}, &Point::value);
    expect_same(found.min, least->value);
    expect_same(found.max, greatest->value);
    const double magnitude = std::max(std::abs(least->value), std::abs(greatest->value));
    EXPECT_NEAR(found.mean, static_cast<double>(mean), 1e-12 * magnitude);
    EXPECT_NEAR(found.m2, static_cast<double>(m2), 1e-9 * static_cast<double>(m2) + 1e-14 * magnitude * magnitude);
}

void expect_sketch(const summary::Sketch& found, const std::vector<Point>& points) {
    std::vector<double> values;
    std::ranges::transform(points, std::back_inserter(values), &Point::value);
    const OwnedSketch expected(values);
    EXPECT_TRUE(std::ranges::equal(summary::bins_of(found), expected.bins(), [](const summary::Bin& a, const summary::Bin& b) {
        return a.number == b.number && a.count == b.count;
    }));
}

void expect_counter(const read_model::CounterDelta& found, std::vector<Point> points) {
    ASSERT_EQ(found.size, points.size());
    if (points.empty()) return;
    const summary::Counter expected = summary::counter_of(points);  // sorts the points
    std::vector<Point> found_points(found.points, found.points + found.size);
    std::ranges::sort(found_points, comes_before);
    for (std::size_t i = 0; i < points.size(); ++i) {
        expect_same(found_points[i].value, points[i].value);
        EXPECT_EQ(found_points[i].at, points[i].at);
    }
    EXPECT_EQ(found.counter.resets, expected.resets);
    EXPECT_EQ(found.counter.fallen_from, expected.fallen_from);
    EXPECT_FALSE(found.counter.overlaps);
}

void expect_metric(const MetricDelta& found, const Group& expected, const std::string& metric,
                   const read_model::Definition& definition, const Taken& taken) {
    SCOPED_TRACE("metric " + metric);
    const auto values = expected.values.find(metric);
    const std::vector<Point> points = values == expected.values.end() ? std::vector<Point>{} : values->second;
    expect_statistics(found.statistics, points);
    expect_sketch(found.sketch, definition.has_sketches ? points : std::vector<Point>{});
    const bool is_counter = taken.counters && taken.counters->contains(metric);
    EXPECT_TRUE(points.empty() || (found.counter != nullptr) == is_counter);
    if (found.counter != nullptr) expect_counter(*found.counter, points);
}

void expect_group(const GroupDelta& found, const Group& expected, const read_model::Definition& definition,
                  const Taken& taken) {
    const std::vector<Sample>& samples = expected.samples;
    EXPECT_EQ(found.sample_count, static_cast<std::int64_t>(samples.size()));
    const auto [first, last] = std::ranges::minmax_element(samples, {}, &Sample::measured_at);
    EXPECT_EQ(found.first_seen, first->measured_at);
    EXPECT_EQ(found.last_seen, last->measured_at);
    EXPECT_EQ(found.last_received_at, std::ranges::max_element(samples, {}, &Sample::received_at)->received_at);
    std::string region;
    if (definition.grain == Grain::kDevice)
        for (const Sample& each : samples)
            if (each.measured_at == last->measured_at && test::is_less(region, each.region)) region = each.region;
    EXPECT_EQ(found.region, region);

    expect_metric(found.temperature, expected, "temperature", definition, taken);
    expect_metric(found.humidity, expected, "humidity", definition, taken);
    Texts found_names = {"temperature", "humidity"}, expected_names = found_names;
    for (const NamedMetricDelta* each = found.further; each != nullptr; each = each->next) {
        ASSERT_TRUE(found_names.emplace(each->name).second) << each->name;
        expect_metric(*each, expected, std::string(each->name), definition, taken);
    }
    for (const auto& [name, points] : expected.values) expected_names.insert(name);
    EXPECT_EQ(found_names, expected_names);
}

// The groups ascend by key and bucket, and so the deltas have to.
void expect_groups(std::span<const GroupDelta* const> found, const Groups& expected, const read_model::Definition& definition,
                   const Taken& taken) {
    ASSERT_EQ(found.size(), expected.size());
    std::size_t i = 0;
    for (const auto& [name, group] : expected) {
        SCOPED_TRACE("key \"" + name.key + "\", bucket " + std::to_string(name.bucket));
        ASSERT_EQ(found[i]->key, name.key);
        ASSERT_EQ(found[i]->bucket, name.bucket);
        expect_group(*found[i++], group, definition, taken);
        if (testing::Test::HasFailure()) return;  // one group is enough to read
    }
}

// Calls `check(definition, taken)` for each kind of projection until a check fails.
template <typename Check>
void for_each_projection(std::mt19937_64& random, Check check) {
    constexpr unsigned kKinds = 8;  // the bits: sketches, filters, counters
    for (const Grain grain : {Grain::kDevice, Grain::kRegion, Grain::kAll})
        for (const Micros width : {Micros{0}, kMinute, kHour})
            for (unsigned kind = 0; kind < kKinds; ++kind) {
                read_model::Definition definition;
                definition.grain = grain;
                definition.bucket_width = width;
                definition.has_sketches = (kind & 1U) != 0;
                Taken taken;
                if ((kind & 2U) != 0) {
                    taken.devices = random_texts(random, test::kDevices);
                    taken.regions = random_texts(random, test::kRegions);
                    taken.metrics = random_metrics(random);
                }
                if ((kind & 4U) != 0) taken.counters = random_metrics(random);
                SCOPED_TRACE("grain " + std::to_string(static_cast<int>(grain)) + ", width " + std::to_string(width) +
                             ", kind " + std::to_string(kind));
                check(definition, taken);
                if (testing::Test::HasFailure()) return;
            }
}

using Deltas = std::span<const GroupDelta* const>;

// Calls `check` with all deltas of the readings.
void fold_all(const Gathered& gathered, const read_model::Definition& definition, const Filter& filter,
              const Fold::Take& check) {
    Orders orders(gathered);
    int calls = 0;
    Fold(definition, filter, gathered).run(orders.by(definition.grain), kAll, [&](Deltas deltas) {
        ++calls;
        check(deltas);
    });
    EXPECT_EQ(calls, 1);
}

// The definition takes everything.
void fold_all(std::span<const Sample> samples, const read_model::Definition& definition, const Fold::Take& check) {
    Gathered gathered;
    test::gather(gathered, samples);
    fold_all(gathered, definition, Filter(), check);
}

TEST(Fold, EqualsOneFromTheDefinitions) {
    std::mt19937_64 random(41);
    for (const std::size_t size : {0, 1, 2, 30, 300, 1000}) {
        const std::vector<Sample> samples = test::random_samples(random, size);
        Gathered gathered;
        test::gather_in_pieces(random, gathered, samples);
        for_each_projection(random, [&](const read_model::Definition& definition, const Taken& taken) {
            fold_all(gathered, definition, filter_of(taken),
                     [&](Deltas deltas) { expect_groups(deltas, groups_of(definition, taken, samples), definition, taken); });
        });
        if (HasFailure()) return;
    }
}

TEST(Fold, KeepsASketchThatHasAllItsBins) {
    std::mt19937_64 random(42);
    std::uniform_real_distribution<double> exponent(-100, 100);
    std::vector<Sample> samples(4000);
    for (Sample& each : samples) {
        each.device = "d";
        each.temperature = std::exp(exponent(random)) * (random() % 2 == 0 ? 1 : -1);
    }
    read_model::Definition definition;
    definition.has_sketches = true;
    fold_all(samples, definition, [&](Deltas deltas) {
        ASSERT_EQ(deltas.size(), 1u);
        EXPECT_EQ(deltas[0]->temperature.sketch.size, summary::kMaxBins);
        expect_groups(deltas, groups_of(definition, {}, samples), definition, {});
    });
}

TEST(Fold, BucketsBeginAtWholeMinutesBeforeAndAfter2000) {
    std::vector<Sample> samples;
    for (const Micros at : {kMinute, Micros{0}, kMinute - 1, Micros{-1}, -kMinute, -kMinute - 1})
        samples.push_back({.device = "d", .region = {}, .measured_at = at});
    read_model::Definition definition;
    definition.bucket_width = kMinute;
    std::vector<std::pair<Micros, std::int64_t>> found;
    fold_all(samples, definition, [&](Deltas deltas) {
        for (const GroupDelta* each : deltas) found.emplace_back(each->bucket, each->sample_count);
    });
    EXPECT_EQ(found, (std::vector<std::pair<Micros, std::int64_t>>{{-2 * kMinute, 1}, {-kMinute, 2}, {0, 2}, {kMinute, 1}}));
}

TEST(Fold, TheRegionIsTheGreatestOfTheLastTime) {
    const std::vector<Sample> samples{
        {.device = "d", .region = "z", .measured_at = 1},    {.device = "d", .region = "a", .measured_at = 2},
        {.device = "d", .region = "b", .measured_at = 2},    {.device = "d", .region = "", .measured_at = 2},
        {.device = "none", .region = "z", .measured_at = 1}, {.device = "none", .region = "", .measured_at = 2}};
    fold_all(samples, {}, [](Deltas deltas) {
        ASSERT_EQ(deltas.size(), 2u);
        EXPECT_EQ(deltas[0]->region, "b");
        EXPECT_EQ(deltas[1]->region, "");
    });
}

// --- deltas in pieces --------------------------------------------------------------------------------------------------

void write(std::ostream& out, const MetricDelta& delta) {
    const summary::Statistics& it = delta.statistics;
    out << it.count << ' ' << it.mean << ' ' << it.m2 << ' ' << it.min << ' ' << it.max << ' ' << it.first_value << ' '
        << it.last_value << ' ' << it.first_at << ' ' << it.last_at << " bins";
    for (const summary::Bin& bin : summary::bins_of(delta.sketch)) out << ' ' << bin.number << ':' << bin.count;
    if (delta.counter != nullptr) {
        out << " resets " << delta.counter->counter.resets << ' ' << delta.counter->counter.fallen_from << " points";
        for (const Point& each : std::span(delta.counter->points, delta.counter->size))
            out << ' ' << each.value << '@' << each.at;
    }
    out << '\n';
}

// All of a delta, bit by bit.
std::string text_of(const GroupDelta& delta) {
    std::ostringstream out;
    out << std::hexfloat << delta.key << ' ' << delta.bucket << ' ' << delta.sample_count << ' ' << delta.first_seen << ' '
        << delta.last_seen << ' ' << delta.last_received_at << ' ' << delta.region << '\n';
    write(out, delta.temperature);
    write(out, delta.humidity);
    for (const NamedMetricDelta* each = delta.further; each != nullptr; each = each->next) {
        out << each->name << ' ';
        write(out, *each);
    }
    return out.str();
}

std::vector<std::string> texts_of_deltas(Fold& fold, const KeyOrder& order, std::size_t bytes) {
    std::vector<std::string> texts;
    std::size_t most_at_once = 0;
    fold.run(order, bytes, [&](Deltas deltas) {
        for (const GroupDelta* each : deltas) texts.push_back(text_of(*each));
        most_at_once = std::max(most_at_once, deltas.size());
    });
    EXPECT_LE(most_at_once, std::max<std::size_t>(1, bytes / sizeof(GroupDelta) + 1));
    return texts;
}

TEST(Fold, IsTheSameInPieces) {
    std::mt19937_64 random(43);
    const std::vector<Sample> samples = test::random_samples(random, 500);
    Gathered gathered;
    test::gather(gathered, samples);
    Orders orders(gathered);
    for_each_projection(random, [&](const read_model::Definition& definition, const Taken& taken) {
        const Filter filter = filter_of(taken);
        const KeyOrder& order = orders.by(definition.grain);
        Fold fold(definition, filter, gathered);
        const std::vector<std::string> whole = texts_of_deltas(fold, order, kAll);
        EXPECT_EQ(whole.size(), groups_of(definition, taken, samples).size());
        for (const std::size_t bytes : {std::size_t{1}, 3 * sizeof(GroupDelta)})
            EXPECT_EQ(texts_of_deltas(fold, order, bytes), whole);
    });
}

TEST(Fold, IsTheSameAfterTheTakerHasFailed) {
    std::mt19937_64 random(45);
    const std::vector<Sample> samples = test::random_samples(random, 300);
    Gathered gathered;
    test::gather(gathered, samples);
    Orders orders(gathered);
    for_each_projection(random, [&](const read_model::Definition& definition, const Taken& taken) {
        const Filter filter = filter_of(taken);
        const KeyOrder& order = orders.by(definition.grain);
        Fold fold(definition, filter, gathered), other(definition, filter, gathered);
        const auto fail = [](Deltas) { throw std::runtime_error("expected"); };
        EXPECT_THROW(fold.run(order, 5 * sizeof(GroupDelta), fail), std::runtime_error);
        EXPECT_EQ(texts_of_deltas(fold, order, kAll), texts_of_deltas(other, order, kAll));
    });
}

// One key has very many buckets, and its readings come in no order.
TEST(Fold, BoundsTheDeltasOfOneKey) {
    constexpr std::size_t kBuckets = 100'000, kBytes = 100 * sizeof(GroupDelta);
    std::vector<Sample> samples(kBuckets);
    for (std::size_t i = 0; i < kBuckets; ++i) {
        samples[i].device = "one";
        samples[i].measured_at = static_cast<Micros>(i) * kMinute;
        samples[i].temperature = static_cast<double>(i);
    }
    std::shuffle(samples.begin(), samples.end(), std::mt19937_64(46));
    read_model::Definition definition;
    definition.bucket_width = kMinute;
    Gathered gathered;
    test::gather(gathered, samples);
    const Filter filter;
    Orders orders(gathered);
    Micros next = 0;
    Fold(definition, filter, gathered).run(orders.by(Grain::kDevice), kBytes, [&](Deltas deltas) {
        EXPECT_LE(deltas.size(), 100u);
        for (const GroupDelta* each : deltas) {
            ASSERT_EQ(each->bucket, next);
            const Micros minute = next / kMinute;
            EXPECT_EQ(each->temperature.statistics.min, static_cast<double>(minute));
            EXPECT_EQ(each->sample_count, 1);
            next += kMinute;
        }
    });
    EXPECT_EQ(next, static_cast<Micros>(kBuckets) * kMinute);
}

}  // namespace
