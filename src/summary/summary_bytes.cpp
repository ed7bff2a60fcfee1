// Writes and reads the members of statistics that do not follow from others.
#include "summary/summary_bytes.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "summary/varint.hpp"

namespace summary {

namespace {

constexpr std::uint8_t kVersion = 3;
constexpr std::uint8_t kFirstVersion = 1;

enum Flag : std::uint8_t {
    kHasSketch = 1,
    kHasSpan = 2,
    kHasLast = 4,
    kHasMin = 8,
    kHasMax = 16,
    kHasMean = 32,
    kHasM2 = 64,
    kIsCounter = 128
};

// 0.0 and -0.0 differ.
bool has_same_bits(double a, double b) noexcept {
    return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
}

// What a reader knows of statistics without a flag from first_value, first_at and last_value.
void set_extremes(Statistics& statistics) noexcept {
    statistics.min = std::min(statistics.first_value, statistics.last_value);
    statistics.max = std::max(statistics.first_value, statistics.last_value);
}

template <typename Number>
void put(std::uint8_t*& out, Number number) noexcept {
    std::memcpy(out, &number, sizeof number);
    out += sizeof number;
}

class Reader {
public:
    explicit Reader(std::span<const std::uint8_t> bytes) noexcept : at_(bytes.data()), end_(at_ + bytes.size()) {}

    template <typename Number>
    void take(Number& number) noexcept {
        if (!has(sizeof number)) return;
        std::memcpy(&number, at_, sizeof number);
        at_ += sizeof number;
    }
    std::uint64_t take_varint() noexcept {
        std::uint64_t value = 0;
        if (!summary::take_varint(at_, end_, value)) is_good_ = false;
        return value;
    }
    bool is_good() const noexcept { return is_good_; }
    std::span<const std::uint8_t> rest() const noexcept { return {at_, end_}; }

private:
    bool has(std::size_t size) noexcept {
        if (static_cast<std::size_t>(end_ - at_) < size) is_good_ = false;
        return is_good_;
    }

    const std::uint8_t* at_;
    const std::uint8_t* const end_;
    bool is_good_ = true;
};

// The bytes begin after the version.
FoundSummary find_parts_of_first(std::span<const std::uint8_t> bytes) noexcept {
    constexpr std::size_t kPadding = 3;
    FoundSummary found;
    if (bytes.size() != kPadding + sizeof(Statistics)) return found;
    std::memcpy(&found.statistics, bytes.data() + kPadding, sizeof(Statistics));
    found.is_known = found.statistics.count > 0;
    return found;
}

}  // namespace

std::uint8_t* write_statistics(const Statistics& statistics, const Counter* counter, bool has_sketch,
                               std::uint8_t* bytes) noexcept {
    std::uint8_t flags = has_sketch ? kHasSketch : 0;
    std::uint8_t* out = bytes;
    *out++ = kVersion;
    ++out;  // the flags
    out = write_varint(static_cast<std::uint64_t>(statistics.count), out);
    put(out, statistics.first_at);
    put(out, statistics.first_value);
    const auto put_value = [&](double value, double known, Flag flag) {
        if (has_same_bits(value, known)) return;
        put(out, value);
        flags |= flag;
    };
    if (statistics.last_at != statistics.first_at) {
        out =
            write_varint(static_cast<std::uint64_t>(statistics.last_at) - static_cast<std::uint64_t>(statistics.first_at), out);
        flags |= kHasSpan;
    }
    put_value(statistics.last_value, statistics.first_value, kHasLast);
    Statistics known = statistics;
    set_extremes(known);
    put_value(statistics.min, known.min, kHasMin);
    put_value(statistics.max, known.max, kHasMax);
    known.min = statistics.min;
    known.max = statistics.max;
    set_moments_of_extremes(known);
    put_value(statistics.mean, known.mean, kHasMean);
    put_value(statistics.m2, known.m2, kHasM2);
    if (counter != nullptr) {
        out = write_varint(2 * static_cast<std::uint64_t>(counter->resets) + (counter->overlaps ? 1 : 0), out);
        if (counter->resets > 0) put(out, counter->fallen_from);
        flags |= kIsCounter;
    }
    bytes[1] = flags;
    return out;
}

FoundSummary find_parts(std::span<const std::uint8_t> bytes) noexcept {
    if (!bytes.empty() && bytes[0] == kFirstVersion) return find_parts_of_first(bytes.subspan(1));
    FoundSummary found;
    Statistics& statistics = found.statistics;
    Reader reader(bytes);
    std::uint8_t version = 0, flags = 0;
    reader.take(version);
    reader.take(flags);
    const std::uint64_t count = reader.take_varint();
    reader.take(statistics.first_at);
    reader.take(statistics.first_value);
    std::uint64_t span = 0;
    if ((flags & kHasSpan) != 0) span = reader.take_varint();
    statistics.count = static_cast<std::int64_t>(count);
    statistics.last_at = static_cast<model::Micros>(static_cast<std::uint64_t>(statistics.first_at) + span);
    statistics.last_value = statistics.first_value;
    if ((flags & kHasLast) != 0) reader.take(statistics.last_value);
    set_extremes(statistics);
    if ((flags & kHasMin) != 0) reader.take(statistics.min);
    if ((flags & kHasMax) != 0) reader.take(statistics.max);
    set_moments_of_extremes(statistics);
    if ((flags & kHasMean) != 0) reader.take(statistics.mean);
    if ((flags & kHasM2) != 0) reader.take(statistics.m2);
    found.is_counter = (flags & kIsCounter) != 0;
    if (found.is_counter) {
        const std::uint64_t resets = reader.take_varint();
        found.counter.resets = static_cast<std::int64_t>(resets / 2);
        found.counter.overlaps = resets % 2 == 1;
        if (found.counter.resets > 0) reader.take(found.counter.fallen_from);
    }
    found.has_sketch = (flags & kHasSketch) != 0;
    found.sketch_bytes = reader.rest();
    found.is_known =
        reader.is_good() && version == kVersion && statistics.count > 0 && found.sketch_bytes.empty() != found.has_sketch;
    return found;
}

}  // namespace summary
