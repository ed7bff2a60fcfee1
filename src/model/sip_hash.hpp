// SipHash-2-4 (Aumasson and Bernstein, 2012): a keyed 64-bit hash that nobody without the secret can aim at.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace model {

// The 128-bit key of the installation; drawn once, with its first event, and carried along by dumps.
struct Secret {
    std::array<unsigned char, 16> bytes{};
};

// Takes the message in pieces; where one ends makes no difference, so variable pieces are led by their length.
class SipHash {
public:
    explicit SipHash(const Secret& secret) noexcept;

    void update(std::string_view bytes) noexcept;
    void update(std::uint64_t number) noexcept;  // as eight bytes, lowest first
    // Positive and negative zero are one value. NaN has no place in a canonical form: the caller has refused it.
    void update(double number) noexcept { update(std::bit_cast<std::uint64_t>(number + 0.0)); }
    // The length, then the bytes.
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
