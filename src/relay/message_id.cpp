// Joins the event id and the hash.
#include "relay/message_id.hpp"

#include <charconv>
#include <cstdint>

#include "model/sip_hash.hpp"

namespace relay {

namespace {

// The key of the test vectors of SipHash. Another key would make other ids, and a retry across an update would not be
// recognised.
constexpr model::Secret kKey{{0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07,  //
                              0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f}};

}  // namespace

void append_message_id(std::string& id, model::EventId event_id, std::string_view payload) {
    constexpr char kHexDigits[] = "0123456789abcdef";
    char text[kMaxMessageIdSize];
    char* end = std::to_chars(text, text + sizeof text, event_id.value).ptr;
    *end++ = '-';
    model::SipHash hash(kKey);
    hash.update(payload);
    const std::uint64_t number = hash.finish();
    for (int shift = 60; shift >= 0; shift -= 4) *end++ = kHexDigits[(number >> shift) & 15];
    id.append(text, end);
}

}  // namespace relay
