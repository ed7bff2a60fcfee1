// Adds to summaries and merges them, in an order of operations that keeps the mean finite and M2 free of NaN.
#include "model/summary.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace model {

namespace {

std::int64_t saturating_sum(std::int64_t a, std::int64_t b) noexcept {
    std::int64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? std::numeric_limits<std::int64_t>::max() : sum;
}

void take_first(Summary& into, double value, Micros at) noexcept {
    if (at < into.first_at || (at == into.first_at && value < into.first_value)) {
        into.first_value = value;
        into.first_at = at;
    }
}

void take_last(Summary& into, double value, Micros at) noexcept {
    if (at > into.last_at || (at == into.last_at && value > into.last_value)) {
        into.last_value = value;
        into.last_at = at;
    }
}

}  // namespace

void add(Summary& summary, double value, Micros at) noexcept {
    value += 0.0;  // -0.0 becomes 0.0, so that the order of arrival cannot show in a sign
    if (summary.count == 0) {
        summary = {.count = 1,
                   .mean = value,
                   .m2 = 0,
                   .min = value,
                   .max = value,
                   .first_value = value,
                   .last_value = value,
                   .first_at = at,
                   .last_at = at};
        return;
    }
    const auto count_before = static_cast<double>(summary.count);
    summary.count = saturating_sum(summary.count, 1);
    const auto count = static_cast<double>(summary.count);
    summary.min = std::min(summary.min, value);
    summary.max = std::max(summary.max, value);

    const double delta = value - summary.mean;
    if (std::isfinite(delta)) {
        // Rounding must not carry the mean past the values, nor make the product negative.
        summary.mean = std::clamp(summary.mean + delta / count, summary.min, summary.max);
        summary.m2 += std::max(0.0, delta * (value - summary.mean));
    } else {
        // The distance exceeds double precision, and so does its square. The weighted mean of two values of opposite signs does
        // not.
        summary.mean = std::clamp(summary.mean * (count_before / count) + value / count, summary.min, summary.max);
        summary.m2 = std::numeric_limits<double>::infinity();
    }
    take_first(summary, value, at);
    take_last(summary, value, at);
}

void merge(Summary& into, const Summary& from) noexcept {
    if (from.count == 0) return;
    if (into.count == 0) {
        into = from;
        return;
    }
    // The mean moves by a share of the distance. Seen from the heavier mean this share is the smaller one, and loses less.
    const Summary heavy = into.count >= from.count ? into : from;
    const Summary light = into.count >= from.count ? from : into;
    Summary merged = heavy;
    merged.count = saturating_sum(heavy.count, light.count);
    merged.min = std::min(heavy.min, light.min);
    merged.max = std::max(heavy.max, light.max);

    const auto count = static_cast<double>(merged.count);
    const double heavy_share = static_cast<double>(heavy.count) / count;
    const double light_share = static_cast<double>(light.count) / count;
    const double delta = light.mean - heavy.mean;
    if (std::isfinite(delta)) {
        merged.mean = std::clamp(heavy.mean + delta * light_share, merged.min, merged.max);
        // The shares come first, so that the product overflows only where the result does. Only delta can be 0, and no factor
        // is infinite.
        const double between = delta == 0 ? 0.0 : (delta * heavy_share) * delta * static_cast<double>(light.count);
        merged.m2 = heavy.m2 + light.m2 + between;
    } else {
        merged.mean = std::clamp(heavy.mean * heavy_share + light.mean * light_share, merged.min, merged.max);
        merged.m2 = std::numeric_limits<double>::infinity();
    }
    take_first(merged, light.first_value, light.first_at);
    take_last(merged, light.last_value, light.last_at);
    into = merged;
}

bool is_consistent(const Summary& summary) noexcept {
    const auto between = [&summary](double value) { return summary.min <= value && value <= summary.max; };  // false for NaN
    return summary.count > 0 && std::isfinite(summary.min) && std::isfinite(summary.max) && between(summary.mean) &&
           between(summary.first_value) && between(summary.last_value) && summary.m2 >= 0 &&  //
           (summary.first_at < summary.last_at ||
            (summary.first_at == summary.last_at && summary.first_value <= summary.last_value));
}

std::optional<double> stddev(const Summary& summary) noexcept {
    if (summary.count < 2) return std::nullopt;
    const double variance = summary.m2 / static_cast<double>(summary.count - 1);
    if (!std::isfinite(variance)) return std::nullopt;
    return std::sqrt(variance);
}

}  // namespace model
