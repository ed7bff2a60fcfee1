// Writes and reads varints: seven bits of the number in each byte, the lowest first. Each byte but the last has the bit 0x80.
#pragma once

#include <cstddef>
#include <cstdint>

namespace summary {

inline std::size_t varint_size(std::uint64_t value) noexcept {
    std::size_t size = 1;
    for (; value >= 0x80; value >>= 7) ++size;
    return size;
}

// Returns where the varint ends.
inline std::uint8_t* write_varint(std::uint64_t value, std::uint8_t* out) noexcept {
    for (; value >= 0x80; value >>= 7) *out++ = static_cast<std::uint8_t>(value | 0x80);
    *out++ = static_cast<std::uint8_t>(value);
    return out;
}

// Takes a varint from `at` on, and moves `at` behind it. Returns false where there is none, for a number of more than 64 bits,
// and for a form with a byte too many.
inline bool take_varint(const std::uint8_t*& at, const std::uint8_t* end, std::uint64_t& value) noexcept {
    if (at == end) return false;
    std::uint8_t byte = *at++;
    value = byte & 0x7Fu;
    for (int shift = 7; byte >= 0x80; shift += 7) {
        if (at == end) return false;
        byte = *at++;
        if (byte == 0 || (shift == 63 && byte > 1)) return false;
        value |= std::uint64_t{byte & 0x7Fu} << shift;
    }
    return true;
}

}  // namespace summary
