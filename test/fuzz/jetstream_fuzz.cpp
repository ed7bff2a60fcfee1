// Any bytes of a server, read as INFO, as an acknowledgement and as the description of a stream, give words or values. The
// configuration of a stream is written and read back.
#include <string>

#include "relay/jetstream.hpp"
#include "relay/server_info.hpp"

#include "fuzz.hpp"

namespace {

template <typename Parsed>
void expect_words(const Parsed& parsed) {
    if (const auto* flaw = std::get_if<relay::JsonFlaw>(&parsed)) {
        fuzz::expect(!flaw->text.empty());
        for (const char c : flaw->text) fuzz::expect(c >= ' ' && static_cast<unsigned char>(c) < 0x7f);
    }
}

void expect_same(const relay::StreamConfig& a, const relay::StreamConfig& b) {
    fuzz::expect(a.name == b.name && a.subjects == b.subjects && a.storage == b.storage && a.num_replicas == b.num_replicas);
    fuzz::expect(a.max_age == b.max_age && a.duplicate_window == b.duplicate_window);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto json = fuzz::as_text(data, size);
    expect_words(relay::parse_server_info(json));
    const auto ack = relay::parse_publish_ack(json);
    expect_words(ack);
    const auto stream = relay::parse_stream_reply(json);
    expect_words(stream);
    // The same member tells both kinds of replies that there is an error.
    const bool is_error = std::holds_alternative<relay::JetStreamError>(ack);
    fuzz::expect(!is_error || !std::holds_alternative<relay::StreamInfo>(stream));

    const auto* info = std::get_if<relay::StreamInfo>(&stream);
    if (info == nullptr) return 0;
    const auto again =
        relay::parse_stream_reply(R"({"config":)" + relay::stream_create_request(info->config) + R"(,"state":{"messages":0}})");
    expect_same(std::get<relay::StreamInfo>(again).config, info->config);
    return 0;
}
