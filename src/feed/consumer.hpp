// The consumers of the event log: the list of batches, and each projection.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "runtime/shared_state.hpp"

namespace feed {

enum class Consumer : std::uint8_t { kBatch, kDevice, kRegion };
inline constexpr std::array kConsumers{Consumer::kBatch, Consumer::kDevice, Consumer::kRegion};
inline constexpr std::array kProjections{Consumer::kDevice, Consumer::kRegion};
static_assert(kConsumers.size() <= runtime::kPassSignalCount);
constexpr int number_of(Consumer consumer) noexcept {
    return static_cast<int>(consumer);
}
std::string_view name_of(Consumer consumer) noexcept;

// One value for each consumer.
template <typename Value>
class PerConsumer {
public:
    Value& operator[](Consumer consumer) noexcept { return values_[static_cast<std::size_t>(consumer)]; }
    const Value& operator[](Consumer consumer) const noexcept { return values_[static_cast<std::size_t>(consumer)]; }

private:
    std::array<Value, kConsumers.size()> values_{};
};

// Finds the projection of this name. Error(22023) lists the names that exist.
Consumer projection_named(std::string_view name);

}  // namespace feed
