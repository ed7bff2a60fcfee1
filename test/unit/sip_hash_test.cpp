// SipHash-2-4 against the test vectors of its authors: key 00 01 .. 0f, message 00 01 .. of each length.
#include "model/sip_hash.hpp"

#include <cstdint>
#include <numeric>
#include <string>

#include <gtest/gtest.h>

namespace {

using model::Secret;
using model::SipHash;

Secret reference_key() {
    Secret secret;
    std::iota(secret.bytes.begin(), secret.bytes.end(), static_cast<unsigned char>(0));
    return secret;
}

std::string message(std::size_t length) {
    std::string bytes(length, '\0');
    std::iota(bytes.begin(), bytes.end(), '\0');
    return bytes;
}

std::uint64_t hash_of(std::string_view bytes) {
    SipHash hash(reference_key());
    hash.update(bytes);
    return hash.finish();
}

TEST(SipHash, AgreesWithTheReferenceVectors) {
    constexpr std::uint64_t kVectors[] = {
        0x726fdb47dd0e0e31, 0x74f839c593dc67fd, 0x0d6c8009d9a94f5a, 0x85676696d7fb7e2d, 0xcf2794e0277187b7, 0x18765564cd99a68d,
        0xcbc9466e58fee3ce, 0xab0200f58b01d137, 0x93f5f5799a932462, 0x9e0082df0ba9e4b0, 0x7a5dbbc594ddb9f3, 0xf4b32f46226bada7,
        0x751e8fbc860ee5fb, 0x14ea5627c0843d90, 0xf723ca908e7af2ee, 0xa129ca6149be45e5, 0x3f2acc7f57c29bdb,
    };
    for (std::size_t length = 0; length < std::size(kVectors); ++length)
        EXPECT_EQ(hash_of(message(length)), kVectors[length]) << length;
    EXPECT_EQ(hash_of(message(31)), 0x32d892fad841c342);
    EXPECT_EQ(hash_of(message(32)), 0x7127512f72f27cce);
    EXPECT_EQ(hash_of(message(63)), 0x958a324ceb064572);
}

TEST(SipHash, PiecesMakeNoDifference) {
    const auto whole = message(40);
    const auto expected = hash_of(whole);
    for (std::size_t first = 0; first <= whole.size(); ++first)
        for (std::size_t second = first; second <= whole.size(); ++second) {
            SipHash hash(reference_key());
            hash.update(std::string_view(whole).substr(0, first));
            hash.update(std::string_view(whole).substr(first, second - first));
            hash.update(std::string_view(whole).substr(second));
            ASSERT_EQ(hash.finish(), expected) << first << ' ' << second;
        }
}

TEST(SipHash, NumbersAreTheirBytesLowestFirst) {
    const auto whole = message(15);
    for (std::size_t before = 0; before <= 7; ++before) {
        std::uint64_t number = 0;
        for (std::size_t i = 8; i-- > 0;) number = number << 8 | static_cast<unsigned char>(whole[before + i]);
        SipHash hash(reference_key());
        hash.update(std::string_view(whole).substr(0, before));
        hash.update(number);
        hash.update(std::string_view(whole).substr(before + 8));
        EXPECT_EQ(hash.finish(), 0xa129ca6149be45e5) << before;
    }
}

TEST(SipHash, ZerosAreOneValue) {
    SipHash positive(reference_key()), negative(reference_key()), other(reference_key());
    positive.update(0.0);
    negative.update(-0.0);
    other.update(5e-324);
    const auto expected = positive.finish();
    EXPECT_EQ(negative.finish(), expected);
    EXPECT_NE(other.finish(), expected);
}

TEST(SipHash, DependsOnEveryBitOfTheKey) {
    const auto expected = hash_of("message");
    for (std::size_t bit = 0; bit < 128; ++bit) {
        auto secret = reference_key();
        secret.bytes[bit / 8] ^= static_cast<unsigned char>(1u << bit % 8);
        SipHash hash(secret);
        hash.update(std::string_view("message"));
        EXPECT_NE(hash.finish(), expected) << bit;
    }
}

}  // namespace
