// Any text of a setting is refused with words, or its URLs are shown without secrets and read back from that form.
#include "relay/peer_url.hpp"

#include "fuzz.hpp"

namespace {

using relay::PeerKind;
using relay::PeerUrl;
using relay::PeerUrlFlaw;

void expect_sound(const PeerUrl& url) {
    fuzz::expect(!url.host.empty() && url.port != 0 && url.database >= 0);
    fuzz::expect(url.token.empty() || (url.user.empty() && url.password.empty()));
    for (const auto* text : {&url.user, &url.password, &url.token}) {
        fuzz::expect(text->size() <= relay::kMaxCredentialSize);
        for (const char c : *text) fuzz::expect(static_cast<unsigned char>(c) >= ' ' && c != 0x7f);
    }

    PeerUrl without = url;
    without.user = without.password = without.token = "";
    const std::string shown = without_secrets(url);
    fuzz::expect(shown == without_secrets(without));
    if (url.kind == PeerKind::kNats) {
        const auto again = relay::parse_nats_urls(shown);
        fuzz::expect(std::get<std::vector<PeerUrl>>(again) == std::vector{without});
    } else {
        fuzz::expect(std::get<PeerUrl>(relay::parse_redis_url(shown)) == without);
    }
}

void expect_words(const PeerUrlFlaw& flaw) {
    fuzz::expect(flaw.text.find(" (") != std::string::npos);
    for (const char c : flaw.text) fuzz::expect(c >= ' ' && c < 0x7f);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto setting = fuzz::as_text(data, size);
    const auto nats = relay::parse_nats_urls(setting);
    if (const auto* urls = std::get_if<std::vector<PeerUrl>>(&nats)) {
        fuzz::expect(!urls->empty());
        for (const PeerUrl& url : *urls) expect_sound(url);
    } else {
        expect_words(std::get<PeerUrlFlaw>(nats));
    }
    const auto redis = relay::parse_redis_url(setting);
    if (const auto* url = std::get_if<PeerUrl>(&redis))
        expect_sound(*url);
    else
        expect_words(std::get<PeerUrlFlaw>(redis));
    return 0;
}
