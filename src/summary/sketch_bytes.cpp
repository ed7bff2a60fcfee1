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

// Takes a varint of at most 63 bits off the front. A form with a byte too many is refused.
std::optional<std::uint64_t> take_varint(std::span<const std::uint8_t>& bytes) noexcept {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < bytes.size() && i < 9; ++i) {
        value |= std::uint64_t{bytes[i] & 0x7Fu} << (7 * i);
        if (bytes[i] >= 0x80) continue;
        if (i > 0 && bytes[i] == 0) return std::nullopt;
        bytes = bytes.subspan(i + 1);
        return value;
    }
    return std::nullopt;
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
    std::uint32_t size = 0;
    while (!bytes.empty()) {
        if (size == room) return std::nullopt;
        const auto form = take_varint(bytes);
        const auto count = take_varint(bytes);
        if (!form || !count || *count == 0) return std::nullopt;
        std::int64_t number = signed_form(*form);
        if (size > 0) {
            if (*form == 0 || *form > 2 * static_cast<std::uint64_t>(kGreatestNumber)) return std::nullopt;
            number = bins[size - 1].number + static_cast<std::int64_t>(*form);
        }
        if (!is_bin(number)) return std::nullopt;
        bins[size++] = {static_cast<BinNumber>(number), static_cast<std::int64_t>(*count)};
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
