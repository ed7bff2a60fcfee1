// Sorts the metrics once all of them are there.
#include "model/json_metrics.hpp"

#include <algorithm>
#include <new>

#include "model/policy.hpp"

namespace model {

JsonMetrics::JsonMetrics() {
    members_.reserve(64);
}

void JsonMetrics::clear() noexcept {
    members_.clear();
    member_count_ = 0;
}

bool JsonMetrics::begin() noexcept {
    return ++member_count_ <= kMostMetrics;
}

void JsonMetrics::add(const Member& member) {
    if (member_count_ <= kMostMetrics) members_.push_back(member);
}

bool JsonMetrics::is_before(const Member& a, const Member& b) noexcept {
    return a.name.size() != b.name.size() ? a.name.size() < b.name.size() : a.name < b.name;
}

std::optional<std::string_view> JsonMetrics::sort() {
    if (!std::ranges::is_sorted(members_, is_before)) std::ranges::sort(members_, is_before);
    const auto repeated = std::ranges::adjacent_find(members_, {}, &Member::name);
    if (repeated == members_.end()) return std::nullopt;
    return repeated->name;
}

std::span<const Metric> JsonMetrics::copy_to(std::pmr::memory_resource& memory) const {
    if (members_.empty()) return {};
    auto* const metrics = static_cast<Metric*>(memory.allocate(sizeof(Metric) * members_.size(), alignof(Metric)));
    std::size_t count = 0;
    for (const Member& member : members_)
        if (!member.is_null) new (metrics + count++) Metric{member.name, member.value};
    return {metrics, count};
}

}  // namespace model
