// Gathers the readings of a pass, and orders them by key. A fold then takes one key after the other, and what it adds to stays
// in the processor's cache. It is pure C++ and calls no server code.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include <boost/container/deque.hpp>
#include <boost/unordered/unordered_flat_map.hpp>

#include "model/event.hpp"
#include "read_model/registry.hpp"

namespace projection {

// Stands for a device id, a region or the name of a metric. So each text is looked up once, and the folds compare numbers.
using TextNumber = std::uint32_t;

// The number of the empty text.
inline constexpr TextNumber kEmptyText = 0;

struct GatheredMetric {
    TextNumber name;
    double value;
};

// It takes one line of the processor's cache, because the readings of a key do not lie side by side.
struct alignas(64) GatheredReading {
    TextNumber device;
    TextNumber region;
    model::Micros measured_at;
    model::Micros received_at;
    double temperature;  // NaN: it has none
    double humidity;
    std::span<const GatheredMetric> further;
};

// Readings by key. The keys ascend byte by byte. The readings of a key come as they were gathered.
struct KeyOrder {
    struct Run {
        TextNumber key;
        std::uint32_t begin, end;  // in `readings`
    };
    std::vector<Run> runs;  // each key once
    std::vector<std::uint32_t> readings;
};

class Gathered {
public:
    // The readings lie in this memory. It lives longer.
    explicit Gathered(std::pmr::memory_resource* memory = std::pmr::get_default_resource())
        : arena_(memory), readings_(memory) {
        clear();
    }
    Gathered(const Gathered&) = delete;
    Gathered& operator=(const Gathered&) = delete;

    // Takes what a read model may hold: values that are not finite are left out. There may be 2^32 readings at most.
    void add(std::span<const model::Event> readings);

    // Forgets the readings and their texts.
    void clear();

    // The text lives until the readings are cleared.
    std::string_view text(TextNumber number) const noexcept { return texts_[number]; }

    const GatheredReading& reading(std::uint32_t number) const noexcept { return readings_[number]; }

    // How much memory the readings take with their orders, about.
    std::size_t bytes() const noexcept;

private:
    friend class Orders;
    struct Hash {
        std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>()(text); }
    };

    // Grows without a copy of what it has.
    using Blocks = boost::container::deque_options<boost::container::block_size<1024U>>::type;
    using Readings = boost::container::deque<GatheredReading, std::pmr::polymorphic_allocator<GatheredReading>, Blocks>;

    TextNumber number_of(std::string_view text);
    std::span<const GatheredMetric> keep(std::span<const model::Metric> metrics);

    std::pmr::monotonic_buffer_resource arena_;  // texts and metrics
    boost::unordered_flat_map<std::string_view, TextNumber, Hash> numbers_;
    std::vector<std::string_view> texts_;
    std::size_t bytes_beside_readings_ = 0;
    Readings readings_;
};

// The orders of gathered readings. Each is made when it is first asked for, and nothing is gathered meanwhile.
class Orders {
public:
    explicit Orders(const Gathered& gathered) : gathered_(gathered) {}

    const KeyOrder& by(read_model::Grain grain);  // not of a handler

private:
    KeyOrder by_text(TextNumber GatheredReading::*key);
    KeyOrder under_one_key() const;

    const Gathered& gathered_;
    std::vector<TextNumber> sorted_texts_;  // ascending, once an order needs them
    std::array<std::optional<KeyOrder>, 3> orders_;
};

}  // namespace projection
