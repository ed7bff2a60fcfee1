// Any bytes as an idempotency key give a class and a value in their ranges, and these lead the fingerprint.
#include "model/key_locality.hpp"

#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using model::KeyClass;
    const auto found = model::locality_of(fuzz::as_text(data, size));
    fuzz::expect(found.key_class == KeyClass::kTime || found.key_class == KeyClass::kSequence ||
                 found.key_class == KeyClass::kOpaque);
    fuzz::expect(found.value < std::uint64_t{1} << 56);
    fuzz::expect(found.key_class != KeyClass::kOpaque || found.value == 0);
    return 0;
}
