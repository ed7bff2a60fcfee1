// SipHash-2-4 (Aumasson and Bernstein, 2012): a keyed 64-bit hash. Only a process with the secret can aim at a value.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace model {

// The 128-bit key of the installation. It is drawn once, with the first event, and dumps carry it along.
struct Secret {
    std::array<unsigned char, 16> bytes{};
};

// Takes the message in pieces. The hash does not show where a piece ends, so a piece of variable length comes after its length.
class SipHash {
public:
    explicit SipHash(const Secret& secret) noexcept;

    void update(std::string_view bytes) noexcept;
    void update(std::uint64_t number) noexcept;  // as eight bytes, lowest first
    // Positive and negative zero are one value. A canonical form has no place for NaN, which the caller has refused.
    void update(double number) noexcept { update(std::bit_cast<std::uint64_t>(number + 0.0)); }
    // Adds the length, then the bytes.
    void update_prefixed(std::string_view bytes) noexcept {
        update(std::uint64_t{bytes.size()});
        update(bytes);
    }

    std::uint64_t finish() noexcept;  // ends the message: the object is used up

private:
    void compress(std::uint64_t word) noexcept;
    void round() noexcept;

    std::uint64_t v0_, v1_, v2_, v3_;
    std::uint64_t pending_ = 0;  // the length_ % 8 bytes that do not fill a word yet
    std::uint64_t length_ = 0;
};

}  // namespace model
