// Keeps a copy of each text.
#include "projection/numbering.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>

namespace projection {
namespace {

constexpr std::size_t kBytesBesideText = 48;  // of the table of numbers and the list of texts, about

}  // namespace

TextNumber Numbering::number_of(std::string_view text) {
    const auto found = numbers_.find(text);
    if (found != numbers_.end()) return found->second;
    std::string_view copy;
    if (!text.empty()) {
        auto* bytes = static_cast<char*>(arena_.allocate(text.size(), 1));
        std::memcpy(bytes, text.data(), text.size());
        copy = {bytes, text.size()};
    }
    const auto number = static_cast<TextNumber>(texts_.size());
    texts_.push_back(copy);
    numbers_.emplace(copy, number);
    bytes_ += text.size() + kBytesBesideText;
    return number;
}

NumberedReadings Numbering::number(std::span<const model::Event> readings) {
    devices_.clear();
    regions_.clear();
    metrics_.clear();
    for (const model::Event& reading : readings) {
        devices_.push_back(number_of(reading.device_id));
        regions_.push_back(number_of(reading.region));
        for (const model::Metric& metric : reading.metrics) metrics_.push_back(number_of(metric.name));
    }
    return {.readings = readings, .devices = devices_, .regions = regions_, .metrics = metrics_};
}

std::vector<std::uint32_t> Numbering::ranks() const {
    std::vector<TextNumber> sorted(texts_.size());
    std::iota(sorted.begin(), sorted.end(), 0);
    std::sort(sorted.begin(), sorted.end(), [this](TextNumber a, TextNumber b) { return texts_[a] < texts_[b]; });
    std::vector<std::uint32_t> ranks(texts_.size());
    for (std::uint32_t rank = 0; rank < sorted.size(); ++rank) ranks[sorted[rank]] = rank;
    return ranks;
}

}  // namespace projection
