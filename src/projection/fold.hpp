// Folding events into deltas by device or by region: pure C++, no server call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <span>
#include <string_view>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "model/event.hpp"
#include "read_model/delta.hpp"

namespace projection {

enum class Grain { kDevice, kRegion };

// Deltas of one pass. Keys and regions are copied into an arena that lives as long as the fold, once each.
class Fold {
public:
    explicit Fold(Grain grain) : grain_(grain) {}
    Fold(const Fold&) = delete;
    Fold& operator=(const Fold&) = delete;

    // The order of the readings makes no difference to the result.
    void add(std::span<const model::Event> readings);

    // How many deltas there are by now.
    std::size_t size() const noexcept { return groups_.size() + metrics_.size(); }

    // Ascending by key (bytes). Valid as long as nothing is added.
    std::vector<const read_model::GroupDelta*> groups() const;
    std::vector<const read_model::MetricDelta*> metrics() const;

private:
    struct Hash {
        std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>()(text); }
    };
    using Index = boost::unordered_flat_map<std::string_view, std::uint32_t, Hash>;

    std::uint32_t group_of(std::string_view key);
    void add_region(read_model::GroupDelta& group, const model::Event& reading, bool is_first);
    void add_metric(std::uint32_t group, const model::Metric& metric, model::Micros at);
    std::string_view keep(std::string_view text);

    Grain grain_;
    std::pmr::monotonic_buffer_resource arena_;
    Index group_index_;
    std::vector<read_model::GroupDelta> groups_;
    Index metric_names_;
    boost::unordered_flat_map<std::uint64_t, std::uint32_t> metric_index_;  // group and name
    std::vector<read_model::MetricDelta> metrics_;
};

}  // namespace projection
