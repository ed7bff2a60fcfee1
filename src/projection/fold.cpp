// Folds one key after the other, and one bucket of it after the other. It looks each further metric up.
#include "projection/fold.hpp"

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "summary/sketch.hpp"
#include "summary/statistics.hpp"

namespace projection {
namespace {

constexpr std::uint32_t kFirstRoom = 4;  // bins, or points of a counter
constexpr std::size_t kAhead = 16;       // readings that the processor fetches before they are looked at

model::Micros bucket_of(model::Micros at, model::Micros width) noexcept {
    if (width == 0) return read_model::kAllTime;
    const model::Micros into = at % width;
    return at - (into < 0 ? into + width : into);
}

}  // namespace

template <typename Value>
Value* Fold::allocate(std::size_t count) {
    static_assert(std::is_trivially_destructible_v<Value>);
    bytes_ += sizeof(Value) * count;
    return static_cast<Value*>(arena_.allocate(sizeof(Value) * count, alignof(Value)));
}

bool Fold::Choice::answer_of(TextNumber number, const Gathered& gathered) {
    if (number >= answers_.size()) answers_.resize(std::max<std::size_t>(2 * answers_.size(), number + 1), Answer::kUnknown);
    Answer& answer = answers_[number];
    if (answer == Answer::kUnknown) answer = takes_(gathered.text(number)) ? Answer::kYes : Answer::kNo;
    return answer == Answer::kYes;
}

bool Fold::is_in(model::Micros bucket, model::Micros at) const noexcept {
    const auto width = static_cast<std::uint64_t>(definition_.bucket_width);
    // Unsigned, because two times may lie further apart than a signed number tells. A time before the bucket is far behind it.
    return width == 0 || static_cast<std::uint64_t>(at) - static_cast<std::uint64_t>(bucket) < width;
}

void Fold::make_room(summary::Sketch& sketch) {
    if (sketch.size < sketch.room) return;
    const std::uint32_t room = sketch.room == 0 ? kFirstRoom : std::min(2 * sketch.room, summary::kMaxRoomToAdd);
    auto* bins = allocate<summary::Bin>(room);
    std::copy_n(sketch.bins, sketch.size, bins);
    sketch.bins = bins;
    sketch.room = room;
}

void Fold::start_counter(read_model::MetricDelta& delta) {
    delta.counter = new (allocate<read_model::CounterDelta>()) read_model::CounterDelta{};
    counters_of_group_.push_back(delta.counter);
}

void Fold::add_point(read_model::CounterDelta& counter, double value, model::Micros at) {
    if (counter.size == counter.room) {
        const std::uint32_t room = std::max(2 * counter.room, kFirstRoom);
        auto* points = allocate<summary::Point>(room);
        std::copy_n(counter.points, counter.size, points);
        counter.points = points;
        counter.room = room;
    }
    counter.points[counter.size++] = {value + 0.0, at};  // as the statistics have it
}

void Fold::add_value(read_model::MetricDelta& delta, double value, model::Micros at) {
    summary::add(delta.statistics, value, at);
    if (delta.counter != nullptr) add_point(*delta.counter, value, at);
    if (!definition_.has_sketches) return;
    make_room(delta.sketch);
    summary::add(delta.sketch, value);
}

void Fold::add_metric(read_model::GroupDelta& group, TextNumber name, double value, model::Micros at) {
    const auto [found, is_new] = further_.emplace(name, nullptr);
    if (is_new) {
        found->second = new (allocate<read_model::NamedMetricDelta>()) read_model::NamedMetricDelta{};
        found->second->name = gathered_.text(name);
        found->second->next = group.further;
        group.further = found->second;
        if (keeps_counters_ && counters_.takes(name, gathered_)) start_counter(*found->second);
    }
    add_value(*found->second, value, at);
}

void Fold::add_reading(read_model::GroupDelta& group, std::uint32_t number, bool has_region) {
    const GatheredReading& reading = gathered_.reading(number);
    const bool is_first = group.sample_count == 0;
    const bool is_later = is_first || reading.measured_at > group.last_seen;
    if (has_region && (is_later || reading.measured_at == group.last_seen)) {
        const std::string_view region = gathered_.text(reading.region);
        if (is_later || region > group.region) group.region = region;
    }
    group.first_seen = is_first ? reading.measured_at : std::min(group.first_seen, reading.measured_at);
    group.last_seen = is_later ? reading.measured_at : group.last_seen;
    group.last_received_at = is_first ? reading.received_at : std::max(group.last_received_at, reading.received_at);
    ++group.sample_count;
    if (takes_temperature_ && !std::isnan(reading.temperature))
        add_value(group.temperature, reading.temperature, reading.measured_at);
    if (takes_humidity_ && !std::isnan(reading.humidity)) add_value(group.humidity, reading.humidity, reading.measured_at);
    for (const GatheredMetric& metric : reading.further)
        if (metrics_.takes(metric.name, gathered_)) add_metric(group, metric.name, metric.value, reading.measured_at);
}

// Keeps those that the projection takes, by bucket. Mostly they come so.
void Fold::place_readings(const KeyOrder& order, const KeyOrder::Run& run) {
    placed_.clear();
    bool ascends = true;
    for (std::size_t i = run.begin; i < run.end; ++i) {
        if (i + kAhead < order.readings.size()) __builtin_prefetch(&gathered_.reading(order.readings[i + kAhead]));
        const std::uint32_t number = order.readings[i];
        const GatheredReading& reading = gathered_.reading(number);
        if (!devices_.takes(reading.device, gathered_) || !regions_.takes(reading.region, gathered_)) continue;
        if (!placed_.empty() && is_in(placed_.back().bucket, reading.measured_at)) {
            placed_.push_back({placed_.back().bucket, number});
            continue;
        }
        const model::Micros bucket = bucket_of(reading.measured_at, definition_.bucket_width);
        ascends = ascends && (placed_.empty() || bucket > placed_.back().bucket);
        placed_.push_back({bucket, number});
    }
    if (!ascends)
        std::stable_sort(placed_.begin(), placed_.end(), [](const Placed& a, const Placed& b) { return a.bucket < b.bucket; });
}

void Fold::add_group(TextNumber key, std::span<const Placed> readings) {
    auto* group = new (allocate<read_model::GroupDelta>()) read_model::GroupDelta{};
    group->key = gathered_.text(key);
    group->bucket = readings.front().bucket;
    deltas_.push_back(group);
    if (temperature_is_counter_) start_counter(group->temperature);
    if (humidity_is_counter_) start_counter(group->humidity);
    const bool has_region = definition_.grain == read_model::Grain::kDevice;
    for (const Placed& each : readings) add_reading(*group, each.reading, has_region);
    for (read_model::CounterDelta* each : counters_of_group_)
        if (each->size > 0) each->counter = summary::counter_of({each->points, each->size});
    counters_of_group_.clear();
    forget_further();
}

// The time that clear() takes depends on how many metrics some group had.
void Fold::forget_further() {
    constexpr std::size_t kMany = 1000;
    if (further_.size() > kMany)
        further_ = {};
    else if (!further_.empty())
        further_.clear();
}

void Fold::run(const KeyOrder& order, std::size_t bytes, const Take& take) {
    forget_deltas();
    for (const KeyOrder::Run& run : order.runs) {
        place_readings(order, run);
        for (auto begin = placed_.begin(), end = begin; begin != placed_.end(); begin = end) {
            end = std::find_if(begin, placed_.end(), [begin](const Placed& each) { return each.bucket != begin->bucket; });
            add_group(run.key, {begin, end});
            if (bytes_ < bytes) continue;
            take(deltas_);
            forget_deltas();
        }
    }
    take(deltas_);
}

// A filter that has thrown may have left a group half made.
void Fold::forget_deltas() {
    forget_further();
    counters_of_group_.clear();
    deltas_.clear();
    arena_.release();
    bytes_ = 0;
}

}  // namespace projection
