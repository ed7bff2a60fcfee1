// Keeps the bins sorted, so that equal sketches are equal bin by bin.
#include "summary/sketch.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "summary/saturating_sum.hpp"

namespace summary {

namespace {

constexpr double kLogGamma = 0.020000666706669525;    // log(1.01 / 0.99)
constexpr double kLogMiddle = -0.010050335853501442;  // log(2 / (gamma + 1)) = log(0.99)

constexpr std::uint32_t kMaxNonzeroBins = kMaxBins - 1;

// Returns where the bin is, or would have to be inserted. Each round halves the range without a branch that depends on the
// value, because the processor could not foresee it.
Bin* place_of(const Sketch& sketch, BinNumber number) noexcept {
    Bin* place = sketch.bins;
    for (std::uint32_t left = sketch.size; left > 0;) {
        const std::uint32_t half = (left + 1) / 2;
        place += half * (place[half - 1].number < number ? 1U : 0U);
        left -= half;
    }
    return place;
}

// Inserts before `place`, which is a place of the sketch. There is room.
void insert(Sketch& sketch, Bin* place, Bin bin) noexcept {
    std::move_backward(place, sketch.bins + sketch.size, sketch.bins + sketch.size + 1);
    *place = bin;
    ++sketch.size;
}

// Counts the bins of the least magnitude as zeros, until kMaxNonzeroBins others are left. Of two bins of one magnitude the
// negative one goes first.
void collapse(Sketch& sketch) noexcept {
    Bin* const end = sketch.bins + sketch.size;
    Bin* upper = place_of(sketch, kZeroBin);
    Bin* lower = upper;  // [lower, upper) are zeros
    const bool has_zero = upper != end && upper->number == kZeroBin;
    if (has_zero) ++upper;
    const std::uint32_t nonzero = sketch.size - (has_zero ? 1 : 0);
    if (nonzero <= kMaxNonzeroBins) return;

    std::int64_t zeros = has_zero ? lower->count : 0;
    for (std::uint32_t surplus = nonzero - kMaxNonzeroBins; surplus > 0; --surplus) {
        const bool is_negative = upper == end || (lower != sketch.bins && -lower[-1].number <= upper->number);
        zeros = saturating_sum(zeros, is_negative ? (--lower)->count : (upper++)->count);
    }
    *lower++ = {kZeroBin, zeros};
    sketch.size = static_cast<std::uint32_t>(std::move(upper, end, lower) - sketch.bins);
}

}  // namespace

BinNumber positive_bin(std::int32_t exponent) noexcept {
    return exponent - kLeastExponent + 1;
}

BinNumber negative_bin(std::int32_t exponent) noexcept {
    return -positive_bin(exponent);
}

std::int32_t exponent_of(BinNumber bin) noexcept {
    return std::abs(bin) + kLeastExponent - 1;
}

bool is_exponent(std::int64_t exponent) noexcept {
    return kLeastExponent <= exponent && exponent <= kGreatestExponent;
}

BinNumber bin_of(double value) noexcept {
    if (value == 0) return kZeroBin;
    const auto exponent = static_cast<std::int32_t>(std::ceil(std::log(std::abs(value)) / kLogGamma));
    return value > 0 ? positive_bin(exponent) : negative_bin(exponent);
}

double middle_of(BinNumber bin) noexcept {
    if (bin == kZeroBin) return 0;
    // A bin at the end of double precision may have its middle beyond it.
    const double middle = std::min(std::exp(exponent_of(bin) * kLogGamma + kLogMiddle), std::numeric_limits<double>::max());
    return bin > 0 ? middle : -middle;
}

void add(Sketch& sketch, double value) noexcept {
    const BinNumber number = bin_of(value);
    Bin* const place = place_of(sketch, number);
    if (place != sketch.bins + sketch.size && place->number == number) {
        place->count = saturating_sum(place->count, 1);
        return;
    }
    insert(sketch, place, {number, 1});
    if (sketch.size >= kMaxBins) collapse(sketch);
}

void merge(Sketch& into, std::span<const Bin> from) noexcept {
    // From the back, so that no bin is overwritten before it is read. The bins that both have leave a gap at the front.
    Bin* const room = into.bins + into.size + from.size();
    Bin* out = room;
    const Bin* a = into.bins + into.size;
    const Bin* b = from.data() + from.size();
    while (b != from.data()) {
        if (a == into.bins || a[-1].number < b[-1].number) {
            *--out = *--b;
        } else if (b[-1].number < a[-1].number) {
            *--out = *--a;
        } else {
            --a, --b;
            *--out = {a->number, saturating_sum(a->count, b->count)};
        }
    }
    const auto untouched = a - into.bins;
    into.size = static_cast<std::uint32_t>(std::move(out, room, into.bins + untouched) - into.bins);
    if (into.size >= kMaxBins) collapse(into);
}

bool is_consistent(std::span<const Bin> bins, std::int64_t count) noexcept {
    std::int64_t counted = 0;
    std::uint32_t nonzero = 0;
    const Bin* before = nullptr;
    for (const Bin& bin : bins) {
        if (!is_bin(bin.number) || bin.count <= 0 || (before != nullptr && before->number >= bin.number)) return false;
        counted = saturating_sum(counted, bin.count);
        if (bin.number != kZeroBin) ++nonzero;
        before = &bin;
    }
    return nonzero <= kMaxNonzeroBins && counted == count;
}

std::optional<double> value_at_rank(std::span<const Bin> bins, std::int64_t rank) noexcept {
    std::int64_t counted = 0;
    for (const Bin& bin : bins) {
        counted = saturating_sum(counted, bin.count);
        if (counted >= rank) return middle_of(bin.number);
    }
    return std::nullopt;
}

}  // namespace summary
