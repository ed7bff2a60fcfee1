// Adds to summaries and merges them, in an order of operations that keeps the mean finite and M2 free of NaN.
#include "summary/statistics.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "summary/saturating_sum.hpp"

namespace summary {

namespace {

void take_first(Statistics& into, double value, model::Micros at) noexcept {
    if (at < into.first_at || (at == into.first_at && value < into.first_value)) {
        into.first_value = value;
        into.first_at = at;
    }
}

void take_last(Statistics& into, double value, model::Micros at) noexcept {
    if (at > into.last_at || (at == into.last_at && value > into.last_value)) {
        into.last_value = value;
        into.last_at = at;
    }
}

}  // namespace

void add(Statistics& statistics, double value, model::Micros at) noexcept {
    value += 0.0;  // -0.0 becomes 0.0, so that the order of arrival cannot show in a sign
    if (statistics.count == 0) {
        statistics = {.count = 1,
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
    const auto count_before = static_cast<double>(statistics.count);
    statistics.count = saturating_sum(statistics.count, 1);
    const auto count = static_cast<double>(statistics.count);
    statistics.min = std::min(statistics.min, value);
    statistics.max = std::max(statistics.max, value);

    take_first(statistics, value, at);
    take_last(statistics, value, at);
    if (statistics.count == 2) return set_moments_of_extremes(statistics);

    const double delta = value - statistics.mean;
    if (std::isfinite(delta)) {
        // Rounding must not carry the mean past the values, nor make the product negative.
        statistics.mean = std::clamp(statistics.mean + delta / count, statistics.min, statistics.max);
        statistics.m2 += std::max(0.0, delta * (value - statistics.mean));
    } else {
        // The distance exceeds double precision, and so does its square. The weighted mean of two values of opposite signs does
        // not.
        statistics.mean = std::clamp(statistics.mean * (count_before / count) + value / count, statistics.min, statistics.max);
        statistics.m2 = std::numeric_limits<double>::infinity();
    }
}

void merge(Statistics& into, const Statistics& from) noexcept {
    if (from.count == 0) return;
    if (into.count == 0) {
        into = from;
        return;
    }
    // The mean moves by a share of the distance. Seen from the heavier mean this share is the smaller one, and loses less.
    const Statistics heavy = into.count >= from.count ? into : from;
    const Statistics light = into.count >= from.count ? from : into;
    Statistics merged = heavy;
    merged.count = saturating_sum(heavy.count, light.count);
    merged.min = std::min(heavy.min, light.min);
    merged.max = std::max(heavy.max, light.max);
    take_first(merged, light.first_value, light.first_at);
    take_last(merged, light.last_value, light.last_at);
    into = merged;
    if (merged.count == 2) return set_moments_of_extremes(into);

    const auto count = static_cast<double>(merged.count);
    const double heavy_share = static_cast<double>(heavy.count) / count;
    const double light_share = static_cast<double>(light.count) / count;
    const double delta = light.mean - heavy.mean;
    if (std::isfinite(delta)) {
        into.mean = std::clamp(heavy.mean + delta * light_share, merged.min, merged.max);
        // The shares come first, so that the product overflows only where the result does. Only delta can be 0, and no factor
        // is infinite.
        const double between = delta == 0 ? 0.0 : (delta * heavy_share) * delta * static_cast<double>(light.count);
        into.m2 = heavy.m2 + light.m2 + between;
    } else {
        into.mean = std::clamp(heavy.mean * heavy_share + light.mean * light_share, merged.min, merged.max);
        into.m2 = std::numeric_limits<double>::infinity();
    }
}

void set_moments_of_extremes(Statistics& statistics) noexcept {
    const double distance = statistics.max - statistics.min;
    if (std::isfinite(distance)) {
        statistics.mean = statistics.min + distance / 2;
        statistics.m2 = distance / 2 * distance;  // in this order, so that only the result can overflow
    } else {
        statistics.mean = statistics.min / 2 + statistics.max / 2;
        statistics.m2 = std::numeric_limits<double>::infinity();
    }
}

bool is_consistent(const Statistics& statistics) noexcept {
    const auto between = [&statistics](double value) {
        return statistics.min <= value && value <= statistics.max;
    };  // false for NaN
    return statistics.count > 0 && std::isfinite(statistics.min) && std::isfinite(statistics.max) && between(statistics.mean) &&
           between(statistics.first_value) && between(statistics.last_value) && statistics.m2 >= 0 &&  //
           (statistics.first_at < statistics.last_at ||
            (statistics.first_at == statistics.last_at && statistics.first_value <= statistics.last_value));
}

std::optional<double> stddev(const Statistics& statistics) noexcept {
    if (statistics.count < 2) return std::nullopt;
    const double variance = statistics.m2 / static_cast<double>(statistics.count - 1);
    if (!std::isfinite(variance)) return std::nullopt;
    return std::sqrt(variance);
}

}  // namespace summary
