// Folds events into deltas by device or by region. It is pure C++ and calls no server code.
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
#include "read_model/registry.hpp"

namespace projection {

// The deltas of one pass. An arena holds copies of keys, regions and names, and lives as long as the fold.
class Fold {
public:
    explicit Fold(read_model::Grain grain) : grain_(grain) {}
    Fold(const Fold&) = delete;
    Fold& operator=(const Fold&) = delete;

    // The result does not depend on the order of the readings.
    void add(std::span<const model::Event> readings);

    // Counts the deltas that exist by now.
    std::size_t size() const noexcept { return groups_.size() + metrics_.size(); }

    // These give the deltas ascending by key, byte by byte. The next `add` makes the pointers invalid.
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

    read_model::Grain grain_;
    std::pmr::monotonic_buffer_resource arena_;
    Index group_index_;
    std::vector<read_model::GroupDelta> groups_;
    Index metric_names_;
    boost::unordered_flat_map<std::uint64_t, std::uint32_t> metric_index_;  // group and name
    std::vector<read_model::MetricDelta> metrics_;
};

}  // namespace projection
