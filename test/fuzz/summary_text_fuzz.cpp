// The parser refuses any bytes as the text of a summary, or returns a possible summary that is written and read back bit for
// bit. The summary takes another value and itself without becoming impossible.
#include <bit>

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

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto summary = summary::parse_summary(fuzz::as_text(data, size));
    if (!summary) return 0;
    fuzz::expect(summary::is_consistent(*summary));
    const auto again = summary::parse_summary(summary::to_text(*summary));
    fuzz::expect(again && is_same(*again, *summary));
    auto more = *summary;
    summary::add(more, summary->first_value, summary->last_at);
    fuzz::expect(summary::is_consistent(more));
    summary::merge(more, *summary);
    fuzz::expect(summary::is_consistent(more));
    return 0;
}
