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

    // Takes some deltas. They live until it returns.
    using Take = std::function<void(std::span<const read_model::GroupDelta* const>)>;

    // Folds the readings, and calls `take` whenever the deltas fill `bytes`, and once at the end. Each delta comes once,
    // ascending by key, byte by byte, then by bucket. They do not depend on the order of a key's readings, but for the last
    // digits of mean and M2. A filter and `take` may throw.
    void run(const KeyOrder& order, std::size_t bytes, const Take& take);

private:
    struct Placed {
        model::Micros bucket;
        std::uint32_t reading;
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

    void place_readings(const KeyOrder& order, const KeyOrder::Run& run);
    void add_group(TextNumber key, std::span<const Placed> readings);
    void forget_further();
    void forget_deltas();
    bool is_in(model::Micros bucket, model::Micros at) const noexcept;
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
    std::size_t bytes_ = 0;                                                         // of the deltas, about
    std::vector<Placed> placed_;                                                    // the readings of a key, by bucket
    boost::unordered_flat_map<TextNumber, read_model::NamedMetricDelta*> further_;  // of the group that is added
    std::vector<read_model::CounterDelta*> counters_of_group_;
    std::vector<const read_model::GroupDelta*> deltas_;
};

}  // namespace projection
