// The reader refuses any bytes as the stored form of a sketch, or they are the one form of the bins that it returns.
#include <algorithm>
#include <vector>

#include "summary/sketch_bytes.hpp"

#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto bins = summary::bins_from({data, size});
    if (!bins) return 0;
    std::vector<std::uint8_t> bytes(summary::size_of_bytes(*bins));
    fuzz::expect(bytes.size() == size);
    fuzz::expect(summary::write_bytes(*bins, bytes.data()) == bytes.data() + size);
    fuzz::expect(std::equal(bytes.begin(), bytes.end(), data));
    return 0;
}
