// Gives each text of a pass a number: device ids, regions and names of metrics. The folds of the pass share the numbers, so
// each text is looked up once. It is pure C++ and calls no server code.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <span>
#include <string_view>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "model/event.hpp"

namespace projection {

using TextNumber = std::uint32_t;

// The number of the empty text.
inline constexpr TextNumber kEmptyText = 0;

// Readings with their numbers, which live until the next ones are numbered.
struct NumberedReadings {
    std::span<const model::Event> readings;
    std::span<const TextNumber> devices;  // one for each reading
    std::span<const TextNumber> regions;  // the same
    std::span<const TextNumber> metrics;  // of all readings, one after the other
};

class Numbering {
public:
    Numbering() { number_of({}); }
    Numbering(const Numbering&) = delete;
    Numbering& operator=(const Numbering&) = delete;

    NumberedReadings number(std::span<const model::Event> readings);

    // The text lives as long as the numbering.
    std::string_view text(TextNumber number) const noexcept { return texts_[number]; }

    // For each number the place of its text among all, byte by byte.
    std::vector<std::uint32_t> ranks() const;

    std::size_t bytes() const noexcept { return bytes_; }

private:
    struct Hash {
        std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>()(text); }
    };

    TextNumber number_of(std::string_view text);

    std::pmr::monotonic_buffer_resource arena_;
    boost::unordered_flat_map<std::string_view, TextNumber, Hash> numbers_;
    std::vector<std::string_view> texts_;
    std::vector<TextNumber> devices_, regions_, metrics_;
    std::size_t bytes_ = 0;
};

}  // namespace projection
