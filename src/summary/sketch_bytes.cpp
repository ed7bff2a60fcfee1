// Writes and reads varints.
#include "summary/sketch_bytes.hpp"

#include <algorithm>

namespace summary {

namespace {

std::uint64_t unsigned_form(BinNumber number) noexcept {
    const std::int64_t wide = number;
    return static_cast<std::uint64_t>(wide >= 0 ? 2 * wide : -2 * wide - 1);
}

// The form of any number fits, because it comes from outside.
std::int64_t signed_form(std::uint64_t form) noexcept {
    const auto half = static_cast<std::int64_t>(form / 2);
    return form % 2 == 0 ? half : -half - 1;
}

std::uint64_t number_form(const Bin& bin, const Bin* before) noexcept {
    return before == nullptr ? unsigned_form(bin.number) : static_cast<std::uint64_t>(bin.number - before->number);
}

std::size_t varint_size(std::uint64_t value) noexcept {
    std::size_t size = 1;
    for (; value >= 0x80; value >>= 7) ++size;
    return size;
}

std::uint8_t* write_varint(std::uint64_t value, std::uint8_t* out) noexcept {
    for (; value >= 0x80; value >>= 7) *out++ = static_cast<std::uint8_t>(value | 0x80);
    *out++ = static_cast<std::uint8_t>(value);
    return out;
}

// Takes a varint of at most 63 bits from `at` on, and moves `at` behind it. Returns false where there is none, and for a form
// with a byte too many.
bool take_varint(const std::uint8_t*& at, const std::uint8_t* end, std::uint64_t& value) noexcept {
    if (at == end) return false;
    std::uint8_t byte = *at++;
    value = byte & 0x7Fu;
    for (int shift = 7; byte >= 0x80; shift += 7) {
        if (at == end || shift == 63) return false;
        byte = *at++;
        if (byte == 0) return false;
        value |= std::uint64_t{byte & 0x7Fu} << shift;
    }
    return true;
}

}  // namespace

std::size_t size_of_bytes(std::span<const Bin> bins) noexcept {
    std::size_t size = 0;
    const Bin* before = nullptr;
    for (const Bin& bin : bins) {
        size += varint_size(number_form(bin, before)) + varint_size(static_cast<std::uint64_t>(bin.count));
        before = &bin;
    }
    return size;
}

std::uint8_t* write_bytes(std::span<const Bin> bins, std::uint8_t* bytes) noexcept {
    const Bin* before = nullptr;
    for (const Bin& bin : bins) {
        bytes = write_varint(number_form(bin, before), bytes);
        bytes = write_varint(static_cast<std::uint64_t>(bin.count), bytes);
        before = &bin;
    }
    return bytes;
}

std::uint32_t most_bins_in(std::size_t byte_count) noexcept {
    return static_cast<std::uint32_t>(std::min<std::size_t>(byte_count / 2, kMaxBins));
}

std::optional<std::uint32_t> read_bytes(std::span<const std::uint8_t> bytes, Bin* bins) noexcept {
    const std::uint32_t room = most_bins_in(bytes.size());
    const std::uint8_t* at = bytes.data();
    const std::uint8_t* const end = at + bytes.size();
    std::uint32_t size = 0;
    std::int64_t number = 0;
    while (at != end) {
        std::uint64_t form, count;
        if (size == room || !take_varint(at, end, form) || !take_varint(at, end, count) || count == 0) return std::nullopt;
        if (size == 0) {
            number = signed_form(form);
        } else {
            if (form == 0 || form > 2 * std::uint64_t{kGreatestNumber}) return std::nullopt;
            number += static_cast<std::int64_t>(form);
        }
        if (!is_bin(number)) return std::nullopt;
        bins[size++] = {static_cast<BinNumber>(number), static_cast<std::int64_t>(count)};
    }
    return size;
}

std::optional<std::vector<Bin>> bins_from(std::span<const std::uint8_t> bytes) {
    std::vector<Bin> bins(most_bins_in(bytes.size()));
    const auto size = read_bytes(bytes, bins.data());
    if (!size) return std::nullopt;
    bins.resize(*size);
    return bins;
}

}  // namespace summary
