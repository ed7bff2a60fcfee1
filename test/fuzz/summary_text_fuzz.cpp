// The parser refuses any bytes as the text of a summary, or returns a possible summary that is written and read back bit for
// bit. The summary takes another value and itself without becoming impossible.
#include <bit>
#include <vector>

#include "summary/sketch_bytes.hpp"
#include "summary/summary_text.hpp"

#include "fuzz.hpp"

namespace {

bool is_same(double a, double b) {
    return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
}

bool is_same(const summary::Statistics& a, const summary::Statistics& b) {
    return a.count == b.count && is_same(a.mean, b.mean) && is_same(a.m2, b.m2) && is_same(a.min, b.min) &&
           is_same(a.max, b.max) && is_same(a.first_value, b.first_value) && is_same(a.last_value, b.last_value) &&
           a.first_at == b.first_at && a.last_at == b.last_at;
}

std::vector<std::uint8_t> bytes_of(std::span<const summary::Bin> bins) {
    std::vector<std::uint8_t> bytes(summary::size_of_bytes(bins));
    summary::write_bytes(bins, bytes.data());
    return bytes;
}

// The bins survive their stored form, and stay those of a sketch when the sketch is merged with itself and takes a value.
void check_sketch(const std::vector<summary::Bin>& bins, double value) {
    const auto read = summary::bins_from(bytes_of(bins));
    fuzz::expect(read && bytes_of(*read) == bytes_of(bins));
    std::vector<summary::Bin> memory(bins);
    memory.resize(2 * bins.size() + 1);
    summary::Sketch sketch{memory.data(), static_cast<std::uint32_t>(bins.size()), static_cast<std::uint32_t>(memory.size())};
    summary::merge(sketch, bins);
    if (sketch.size < memory.size()) summary::add(sketch, value);
    std::int64_t count = 0;
    for (const summary::Bin& bin : summary::bins_of(sketch))
        if (__builtin_add_overflow(count, bin.count, &count)) return;
    fuzz::expect(summary::is_consistent(summary::bins_of(sketch), count));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto parsed = summary::parse_summary(fuzz::as_text(data, size));
    if (!parsed) return 0;
    fuzz::expect(summary::is_consistent(*parsed));
    const auto text = summary::to_text(*parsed);
    const auto again = summary::parse_summary(text);
    fuzz::expect(again && is_same(again->statistics, parsed->statistics) && summary::to_text(*again) == text);
    auto more = parsed->statistics;
    summary::add(more, more.first_value, more.last_at);
    fuzz::expect(summary::is_consistent(more));
    summary::merge(more, parsed->statistics);
    fuzz::expect(summary::is_consistent(more));
    if (parsed->sketch) {
        check_sketch(*parsed->sketch, more.first_value);
        const double median = summary::quantile(parsed->statistics, *parsed->sketch, 0.5);
        fuzz::expect(parsed->statistics.min <= median && median <= parsed->statistics.max);
    }
    return 0;
}
