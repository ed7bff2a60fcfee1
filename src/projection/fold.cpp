// Folds one key after the other. It looks a group up where the bucket changes, and each further metric.
#include "projection/fold.hpp"

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "summary/sketch.hpp"
#include "summary/statistics.hpp"

namespace projection {
namespace {

constexpr std::uint32_t kFirstRoom = 4;    // bins, or points of a counter
constexpr std::size_t kBytesOfEntry = 40;  // of an index, about

// Mixes the bits of two numbers, by the multiplier of the golden ratio.
std::size_t mixed(std::uint64_t a, std::uint64_t b) noexcept {
    constexpr std::uint64_t kGolden = 0x9E3779B97F4A7C15;
    std::uint64_t mix = (a ^ b * kGolden) * kGolden;
    mix ^= mix >> 32;
    return mix * kGolden;
}

model::Micros bucket_of(model::Micros at, model::Micros width) noexcept {
    if (width == 0) return read_model::kAllTime;
    const model::Micros into = at % width;
    return at - (into < 0 ? into + width : into);
}

}  // namespace

std::size_t Fold::Hash::operator()(const GroupKey& key) const noexcept {
    return mixed(static_cast<std::uint64_t>(key.bucket), key.text);
}

std::size_t Fold::Hash::operator()(const MetricKey& key) const noexcept {
    return mixed(reinterpret_cast<std::uintptr_t>(key.group), key.name);
}

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

bool Fold::is_in(const read_model::GroupDelta& group, model::Micros at) const noexcept {
    const auto width = static_cast<std::uint64_t>(definition_.bucket_width);
    // Unsigned, because two times may lie further apart than a signed number tells. A time before the bucket is far behind it.
    return width == 0 || static_cast<std::uint64_t>(at) - static_cast<std::uint64_t>(group.bucket) < width;
}

read_model::GroupDelta& Fold::group_of(TextNumber key, model::Micros bucket) {
    const auto [found, is_new] = index_.emplace(GroupKey{key, bucket}, nullptr);
    if (is_new) {
        found->second = new (allocate<read_model::GroupDelta>()) read_model::GroupDelta{};
        found->second->key = gathered_.text(key);
        found->second->bucket = bucket;
        deltas_.push_back(found->second);
        if (temperature_is_counter_) start_counter(found->second->temperature);
        if (humidity_is_counter_) start_counter(found->second->humidity);
        bytes_ += kBytesOfEntry;
    }
    return *found->second;
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
    counter_deltas_.push_back(delta.counter);
    bytes_ += sizeof(read_model::CounterDelta*);
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
    const auto [found, is_new] = metric_index_.emplace(MetricKey{&group, name}, nullptr);
    if (is_new) {
        found->second = new (allocate<read_model::NamedMetricDelta>()) read_model::NamedMetricDelta{};
        found->second->name = gathered_.text(name);
        found->second->next = group.further;
        group.further = found->second;
        if (keeps_counters_ && counters_.takes(name, gathered_)) start_counter(*found->second);
        bytes_ += kBytesOfEntry;
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
    for (const GatheredMetric& metric : gathered_.metrics_of(number))
        if (metrics_.takes(metric.name, gathered_)) add_metric(group, metric.name, metric.value, reading.measured_at);
}

void Fold::add(const KeyOrder& order, const KeyOrder::Run& run) {
    const bool has_region = definition_.grain == read_model::Grain::kDevice;
    const std::size_t first = deltas_.size();
    read_model::GroupDelta* group = nullptr;
    for (const std::uint32_t number : std::span(order.readings).subspan(run.begin, run.end - run.begin)) {
        const GatheredReading& reading = gathered_.reading(number);
        if (!devices_.takes(reading.device, gathered_) || !regions_.takes(reading.region, gathered_)) continue;
        if (group == nullptr || !is_in(*group, reading.measured_at))
            group = &group_of(run.key, bucket_of(reading.measured_at, definition_.bucket_width));
        add_reading(*group, number, has_region);
    }
    std::sort(deltas_.begin() + static_cast<std::ptrdiff_t>(first), deltas_.end(),
              [](const auto* a, const auto* b) { return a->bucket < b->bucket; });
    for (read_model::CounterDelta* each : counter_deltas_)
        if (each->size > 0) each->counter = summary::counter_of({each->points, each->size});
    counter_deltas_.clear();
}

void Fold::forget_deltas() {
    index_.clear();
    metric_index_.clear();
    deltas_.clear();
    counter_deltas_.clear();
    arena_.release();
    bytes_ = 0;
}

}  // namespace projection
