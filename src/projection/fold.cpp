// Folds in one pass over the readings. It looks up one hash for each reading, and two for each metric.
#include "projection/fold.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <tuple>

#include "summary/statistics.hpp"

namespace projection {

std::string_view Fold::keep(std::string_view text) {
    if (text.empty()) return {};
    auto* copy = static_cast<char*>(arena_.allocate(text.size(), 1));
    std::memcpy(copy, text.data(), text.size());
    return {copy, text.size()};
}

std::uint32_t Fold::group_of(std::string_view key) {
    const auto found = group_index_.find(key);
    if (found != group_index_.end()) return found->second;
    const auto number = static_cast<std::uint32_t>(groups_.size());
    const std::string_view kept = keep(key);
    groups_.emplace_back().key = kept;
    group_index_.emplace(kept, number);
    return number;
}

void Fold::add_region(read_model::GroupDelta& group, const model::Event& reading, bool is_first) {
    const bool is_later = is_first || reading.measured_at > group.last_seen;
    if (!is_later && (reading.measured_at < group.last_seen || reading.region <= group.region)) return;
    if (reading.region != group.region) group.region = keep(reading.region);
}

void Fold::add_metric(std::uint32_t group, const model::Metric& metric, model::Micros at) {
    if (!std::isfinite(metric.value)) return;  // no read model holds one
    auto name = metric_names_.find(metric.name);
    if (name == metric_names_.end())
        name = metric_names_.emplace(keep(metric.name), static_cast<std::uint32_t>(metric_names_.size())).first;
    const std::uint64_t key = std::uint64_t{group} << 32 | name->second;
    const auto [found, is_new] = metric_index_.emplace(key, static_cast<std::uint32_t>(metrics_.size()));
    if (is_new) metrics_.push_back({groups_[group].key, name->first, {}});
    summary::add(metrics_[found->second].summary, metric.value, at);
}

void Fold::add(std::span<const model::Event> readings) {
    for (const model::Event& reading : readings) {
        const std::uint32_t number = group_of(grain_ == read_model::Grain::kDevice ? reading.device_id : reading.region);
        read_model::GroupDelta& group = groups_[number];
        const bool is_first = group.sample_count == 0;
        if (grain_ == read_model::Grain::kDevice) add_region(group, reading, is_first);
        group.first_seen = is_first ? reading.measured_at : std::min(group.first_seen, reading.measured_at);
        group.last_seen = is_first ? reading.measured_at : std::max(group.last_seen, reading.measured_at);
        group.last_received_at = is_first ? reading.received_at : std::max(group.last_received_at, reading.received_at);
        ++group.sample_count;
        if (reading.temperature && std::isfinite(*reading.temperature))
            summary::add(group.temperature, *reading.temperature, reading.measured_at);
        if (reading.humidity && std::isfinite(*reading.humidity))
            summary::add(group.humidity, *reading.humidity, reading.measured_at);
        for (const model::Metric& metric : reading.metrics) add_metric(number, metric, reading.measured_at);
    }
}

std::vector<const read_model::GroupDelta*> Fold::groups() const {
    std::vector<const read_model::GroupDelta*> sorted;
    sorted.reserve(groups_.size());
    for (const auto& group : groups_) sorted.push_back(&group);
    std::sort(sorted.begin(), sorted.end(), [](const auto* a, const auto* b) { return a->key < b->key; });
    return sorted;
}

std::vector<const read_model::MetricDelta*> Fold::metrics() const {
    std::vector<const read_model::MetricDelta*> sorted;
    sorted.reserve(metrics_.size());
    for (const auto& metric : metrics_) sorted.push_back(&metric);
    std::sort(sorted.begin(), sorted.end(),
              [](const auto* a, const auto* b) { return std::tie(a->key, a->metric) < std::tie(b->key, b->metric); });
    return sorted;
}

}  // namespace projection
