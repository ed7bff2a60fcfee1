// zlib works on pieces, so a packed text that would grow without end is stopped at the limit.
#include "http/gzip.hpp"

#include <zlib.h>

#include <algorithm>
#include <new>
#include <vector>

namespace http {
namespace {

constexpr int kGzip = 16 + MAX_WBITS;
constexpr std::size_t kPiece = 64 * 1024;

class Inflating {
public:
    Inflating() {
        if (inflateInit2(&stream, kGzip) != Z_OK) throw std::bad_alloc();
    }
    Inflating(const Inflating&) = delete;
    Inflating& operator=(const Inflating&) = delete;
    ~Inflating() { inflateEnd(&stream); }

    z_stream stream{};
};

Bytef* bytes_of(std::string_view text) noexcept {
    return reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
}

}  // namespace

UnpackFlaw unpack(std::string_view packed, std::size_t most_bytes, std::string& text) {
    Inflating inflating;
    z_stream& stream = inflating.stream;
    stream.next_in = bytes_of(packed);
    stream.avail_in = static_cast<uInt>(packed.size());
    text.clear();
    std::vector<Bytef> piece(kPiece);  // a member that is empty costs no more than its own bytes
    for (;;) {
        if (text.size() > most_bytes) return UnpackFlaw::kTooLarge;
        stream.next_out = piece.data();
        stream.avail_out = kPiece;
        const int outcome = inflate(&stream, Z_NO_FLUSH);
        text.append(reinterpret_cast<const char*>(piece.data()), kPiece - stream.avail_out);
        if (outcome == Z_MEM_ERROR) throw std::bad_alloc();
        if (outcome == Z_STREAM_END) {
            if (text.size() > most_bytes) return UnpackFlaw::kTooLarge;
            if (stream.avail_in == 0) return UnpackFlaw::kNone;
            if (inflateReset(&stream) != Z_OK) return UnpackFlaw::kBroken;
        } else if (outcome != Z_OK) {
            return UnpackFlaw::kBroken;
        }
    }
}

std::string pack(std::string_view text) {
    z_stream stream{};
    if (deflateInit2(&stream, 6, Z_DEFLATED, kGzip, 8, Z_DEFAULT_STRATEGY) != Z_OK) throw std::bad_alloc();
    std::string packed;
    packed.resize(deflateBound(&stream, static_cast<uLong>(text.size())));
    stream.next_in = bytes_of(text);
    stream.avail_in = static_cast<uInt>(text.size());
    stream.next_out = bytes_of(packed);
    stream.avail_out = static_cast<uInt>(packed.size());
    const int outcome = deflate(&stream, Z_FINISH);
    packed.resize(packed.size() - stream.avail_out);
    deflateEnd(&stream);
    if (outcome != Z_STREAM_END) throw std::bad_alloc();
    return packed;
}

}  // namespace http
