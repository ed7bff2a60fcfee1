// The reader refuses any bytes as the stored form of a summary, or what it returns is written and read back alike. It is then
// no longer than the bytes, unless these have the first version, which holds absurd statistics in fewer.
#include <algorithm>
#include <vector>

#include "summary/summary_bytes.hpp"

#include "fuzz.hpp"

namespace {

constexpr std::uint8_t kFirstVersion = 1;

// Writes everything but the sketch. Returns how many bytes it is.
std::size_t write(const summary::FoundSummary& found, std::vector<std::uint8_t>& bytes) {
    const summary::Counter* counter = found.is_counter ? &found.counter : nullptr;
    return static_cast<std::size_t>(summary::write_statistics(found.statistics, counter, found.has_sketch, bytes.data()) -
                                    bytes.data());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto found = summary::find_parts({data, size});
    if (!found.is_known) return 0;
    std::vector<std::uint8_t> bytes(summary::kMostStatisticsBytes);
    bytes.resize(write(found, bytes));
    bytes.insert(bytes.end(), found.sketch_bytes.begin(), found.sketch_bytes.end());
    fuzz::expect(bytes.size() <= size || data[0] == kFirstVersion);
    const auto again = summary::find_parts(bytes);
    fuzz::expect(again.is_known);
    std::vector<std::uint8_t> rewritten(summary::kMostStatisticsBytes);
    rewritten.resize(write(again, rewritten));
    fuzz::expect(std::equal(rewritten.begin(), rewritten.end(), bytes.begin()));
    return 0;
}
