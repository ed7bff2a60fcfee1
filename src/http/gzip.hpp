// Packs and unpacks the coding "gzip" (RFC 1952) by zlib.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace http {

enum class UnpackFlaw { kNone, kTooLarge, kBroken };

// Unpacks `packed` into `text`, of at most `most_bytes`. Several members may follow each other. Throws std::bad_alloc only.
UnpackFlaw unpack(std::string_view packed, std::size_t most_bytes, std::string& text);

// Throws std::bad_alloc only.
std::string pack(std::string_view text);

}  // namespace http
