// Folds readings into the deltas of one projection. It is pure C++ and calls no server code.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory_resource>
#include <span>
#include <string_view>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "projection/gathered.hpp"
#include "read_model/delta.hpp"
#include "read_model/registry.hpp"

namespace projection {

// Which readings and metrics a projection takes. An empty function takes all.
struct Filter {
    std::function<bool(std::string_view)> takes_device, takes_region, takes_metric;
    std::function<bool(std::string_view)> is_counter;  // empty: the projection keeps no counters
};

// Makes deltas of readings, key by key. The definition, the filter and the readings live longer.
class Fold {
public:
    Fold(const read_model::Definition& definition, const Filter& filter, const Gathered& gathered)
        : definition_(definition),
          gathered_(gathered),
          devices_(filter.takes_device),
          regions_(filter.takes_region),
          metrics_(filter.takes_metric),
          counters_(filter.is_counter),
          takes_temperature_(!filter.takes_metric || filter.takes_metric("temperature")),
          takes_humidity_(!filter.takes_metric || filter.takes_metric("humidity")),
          keeps_counters_(filter.is_counter != nullptr),
          temperature_is_counter_(keeps_counters_ && filter.is_counter("temperature")),
          humidity_is_counter_(keeps_counters_ && filter.is_counter("humidity")) {}
    Fold(const Fold&) = delete;
    Fold& operator=(const Fold&) = delete;

    // Adds the readings of a key. Each key comes once, and the keys ascend. A filter may throw. The deltas do not depend on the
    // order of a key's readings, but for the last digits of mean and M2.
    void add(const KeyOrder& order, const KeyOrder::Run& run);

    // How much memory the deltas take, about.
    std::size_t bytes() const noexcept { return bytes_; }

    // The deltas ascending by key, byte by byte, then by bucket. They live until they are forgotten.
    std::span<const read_model::GroupDelta* const> deltas() const noexcept { return deltas_; }
    void forget_deltas();

private:
    struct GroupKey {
        TextNumber text;
        model::Micros bucket;
        friend bool operator==(const GroupKey&, const GroupKey&) = default;
    };
    struct MetricKey {
        const read_model::GroupDelta* group;
        TextNumber name;
        friend bool operator==(const MetricKey&, const MetricKey&) = default;
    };
    struct Hash {
        std::size_t operator()(const GroupKey& key) const noexcept;
        std::size_t operator()(const MetricKey& key) const noexcept;
    };

    // Asks a function once for each text.
    class Choice {
    public:
        explicit Choice(const std::function<bool(std::string_view)>& takes) : takes_(takes) {}
        bool takes(TextNumber number, const Gathered& gathered) { return !takes_ || answer_of(number, gathered); }

    private:
        bool answer_of(TextNumber number, const Gathered& gathered);

        enum class Answer : std::uint8_t { kUnknown, kNo, kYes };
        const std::function<bool(std::string_view)>& takes_;
        std::vector<Answer> answers_;
    };

    read_model::GroupDelta& group_of(TextNumber key, model::Micros bucket);
    bool is_in(const read_model::GroupDelta& group, model::Micros at) const noexcept;
    void add_reading(read_model::GroupDelta& group, std::uint32_t number, bool has_region);
    void add_value(read_model::MetricDelta& delta, double value, model::Micros at);
    void add_metric(read_model::GroupDelta& group, TextNumber name, double value, model::Micros at);
    void make_room(summary::Sketch& sketch);
    void add_point(read_model::CounterDelta& counter, double value, model::Micros at);
    void start_counter(read_model::MetricDelta& delta);
    template <typename Value>
    Value* allocate(std::size_t count = 1);

    const read_model::Definition& definition_;
    const Gathered& gathered_;
    Choice devices_, regions_, metrics_, counters_;
    bool takes_temperature_, takes_humidity_;
    bool keeps_counters_, temperature_is_counter_, humidity_is_counter_;
    std::pmr::monotonic_buffer_resource arena_;
    std::size_t bytes_ = 0;
    boost::unordered_flat_map<GroupKey, read_model::GroupDelta*, Hash> index_;
    boost::unordered_flat_map<MetricKey, read_model::NamedMetricDelta*, Hash> metric_index_;
    std::vector<const read_model::GroupDelta*> deltas_;
    std::vector<read_model::CounterDelta*> counter_deltas_;  // of the key that is added
};

}  // namespace projection
