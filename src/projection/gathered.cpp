// Keeps a copy of each text. Orders readings by counting how many each key has.
#include "projection/gathered.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
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
    bytes_of_texts_ += text.size() + kBytesBesideText;
    return number;
}

void Gathered::add(std::span<const model::Event> readings) {
    for (const model::Event& each : readings) {
        for (const model::Metric& metric : each.metrics)
            if (std::isfinite(metric.value)) metrics_.push_back({number_of(metric.name), metric.value});
        readings_.push_back({.device = number_of(each.device_id),
                             .region = number_of(each.region),
                             .measured_at = each.measured_at,
                             .received_at = each.received_at,
                             .temperature = finite(each.temperature),
                             .humidity = finite(each.humidity),
                             .metrics_end = metrics_.size()});
    }
}

void Gathered::clear() noexcept {
    readings_.clear();
    metrics_.clear();
}

std::size_t Gathered::bytes() const noexcept {
    constexpr std::size_t kBytesOfReading = sizeof(GatheredReading) + sizeof(std::uint32_t) * kOrders;
    return bytes_of_texts_ + readings_.size() * kBytesOfReading + metrics_.size() * sizeof(GatheredMetric);
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
    const std::vector<GatheredReading>& readings = gathered_.readings_;
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
    for (std::uint32_t i = 0; i < readings.size(); ++i) order.readings[next[readings[i].*key]++] = i;
    return order;
}

}  // namespace projection
