// The rounds of SipHash, two for each word and four at the end.
#include "model/sip_hash.hpp"

#include <cstring>

namespace model {

namespace {

std::uint64_t load_word(const void* bytes) noexcept {
    std::uint64_t word;
    std::memcpy(&word, bytes, sizeof word);
    if constexpr (std::endian::native == std::endian::big) word = __builtin_bswap64(word);
    return word;
}

}  // namespace

SipHash::SipHash(const Secret& secret) noexcept {
    const auto k0 = load_word(secret.bytes.data());
    const auto k1 = load_word(secret.bytes.data() + 8);
    v0_ = k0 ^ 0x736f6d6570736575;
    v1_ = k1 ^ 0x646f72616e646f6d;
    v2_ = k0 ^ 0x6c7967656e657261;
    v3_ = k1 ^ 0x7465646279746573;
}

void SipHash::round() noexcept {
    v0_ += v1_;
    v1_ = std::rotl(v1_, 13) ^ v0_;
    v0_ = std::rotl(v0_, 32);
    v2_ += v3_;
    v3_ = std::rotl(v3_, 16) ^ v2_;
    v0_ += v3_;
    v3_ = std::rotl(v3_, 21) ^ v0_;
    v2_ += v1_;
    v1_ = std::rotl(v1_, 17) ^ v2_;
    v2_ = std::rotl(v2_, 32);
}

void SipHash::compress(std::uint64_t word) noexcept {
    v3_ ^= word;
    round();
    round();
    v0_ ^= word;
}

void SipHash::update(std::uint64_t number) noexcept {
    const auto filled = (length_ % 8) * 8;  // bits
    length_ += 8;
    if (filled == 0) {
        compress(number);
    } else {
        compress(pending_ | number << filled);
        pending_ = number >> (64 - filled);
    }
}

void SipHash::update(std::string_view bytes) noexcept {
    while (bytes.size() >= 8) {
        update(load_word(bytes.data()));
        bytes.remove_prefix(8);
    }
    for (const char c : bytes) {
        pending_ |= std::uint64_t{static_cast<unsigned char>(c)} << (length_ % 8) * 8;
        if (++length_ % 8 == 0) {
            compress(pending_);
            pending_ = 0;
        }
    }
}

std::uint64_t SipHash::finish() noexcept {
    compress(pending_ | length_ << 56);
    v2_ ^= 0xff;
    for (int i = 0; i < 4; ++i) round();
    return v0_ ^ v1_ ^ v2_ ^ v3_;
}

}  // namespace model
