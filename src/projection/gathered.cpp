// Keeps a copy of each text. Orders readings by counting how many each key has.
#include "projection/gathered.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <new>
#include <numeric>

namespace projection {
namespace {

constexpr std::size_t kBytesBesideText = 48;  // of the table of numbers and the list of texts, about
constexpr std::size_t kOrders = 2;            // by device and by region, as the built-in projections need them

double finite(const std::optional<double>& value) noexcept {
    return value && std::isfinite(*value) ? *value : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace

TextNumber Gathered::number_of(std::string_view text) {
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
    bytes_beside_readings_ += text.size() + kBytesBesideText;
    return number;
}

std::span<const GatheredMetric> Gathered::keep(std::span<const model::Metric> metrics) {
    if (metrics.empty()) return {};
    const std::size_t bytes = sizeof(GatheredMetric) * metrics.size();
    auto* kept = static_cast<GatheredMetric*>(arena_.allocate(bytes, alignof(GatheredMetric)));
    bytes_beside_readings_ += bytes;
    std::size_t size = 0;
    for (const model::Metric& each : metrics)
        if (std::isfinite(each.value)) new (&kept[size++]) GatheredMetric{number_of(each.name), each.value};
    return {kept, size};
}

void Gathered::add(std::span<const model::Event> readings) {
    for (const model::Event& each : readings)
        readings_.push_back({.device = number_of(each.device_id),
                             .region = number_of(each.region),
                             .measured_at = each.measured_at,
                             .received_at = each.received_at,
                             .temperature = finite(each.temperature),
                             .humidity = finite(each.humidity),
                             .further = keep(each.metrics)});
}

void Gathered::clear() {
    readings_.clear();
    numbers_.clear();
    texts_.clear();
    arena_.release();
    bytes_beside_readings_ = 0;
    number_of({});
}

std::size_t Gathered::bytes() const noexcept {
    constexpr std::size_t kBytesOfReading = sizeof(GatheredReading) + sizeof(std::uint32_t) * kOrders;
    return bytes_beside_readings_ + readings_.size() * kBytesOfReading;
}

const KeyOrder& Orders::by(read_model::Grain grain) {
    std::optional<KeyOrder>& order = orders_[static_cast<std::size_t>(grain)];
    if (order) return *order;
    switch (grain) {
        case read_model::Grain::kDevice:
            return order.emplace(by_text(&GatheredReading::device));
        case read_model::Grain::kRegion:
            return order.emplace(by_text(&GatheredReading::region));
        default:
            break;
    }
    return order.emplace(under_one_key());
}

KeyOrder Orders::under_one_key() const {
    KeyOrder order;
    order.readings.resize(gathered_.readings_.size());
    std::iota(order.readings.begin(), order.readings.end(), 0U);
    if (!order.readings.empty()) order.runs = {{kEmptyText, 0, static_cast<std::uint32_t>(order.readings.size())}};
    return order;
}

KeyOrder Orders::by_text(TextNumber GatheredReading::*key) {
    const std::vector<std::string_view>& texts = gathered_.texts_;
    const Gathered::Readings& readings = gathered_.readings_;
    if (sorted_texts_.empty()) {
        sorted_texts_.resize(texts.size());
        std::iota(sorted_texts_.begin(), sorted_texts_.end(), 0U);
        std::stable_sort(sorted_texts_.begin(), sorted_texts_.end(),
                         [&](TextNumber a, TextNumber b) { return texts[a] < texts[b]; });
    }
    std::vector<std::uint32_t> next(texts.size());  // first how many readings each key has, then where the next one goes
    for (const GatheredReading& each : readings) ++next[each.*key];
    KeyOrder order;
    std::uint32_t begin = 0;
    for (const TextNumber text : sorted_texts_) {
        const std::uint32_t count = next[text];
        next[text] = begin;
        if (count > 0) order.runs.push_back({text, begin, begin + count});
        begin += count;
    }
    order.readings.resize(readings.size());
    std::uint32_t number = 0;
    for (const GatheredReading& each : readings) order.readings[next[each.*key]++] = number++;
    return order;
}

}  // namespace projection
