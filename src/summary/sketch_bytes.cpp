// Writes and reads distances and counts.
#include "summary/sketch_bytes.hpp"

#include <algorithm>
#include <limits>

#include "summary/varint.hpp"

namespace summary {

namespace {

constexpr std::uint64_t kGreatestCount = std::numeric_limits<std::int64_t>::max();

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
        if (size == room || !take_varint(at, end, form) || !take_varint(at, end, count)) return std::nullopt;
        if (count == 0 || count > kGreatestCount) return std::nullopt;
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
