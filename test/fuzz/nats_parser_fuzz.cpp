// Any bytes of a server become the same frames and the same flaw, in whichever chunks they come. Each text lies within the
// frame, and keeps the limits.
#include <algorithm>
#include <string>

#include "relay/nats_parser.hpp"

#include "fuzz.hpp"

namespace {

// These are small, so that inputs reach them.
constexpr relay::NatsLimits kLimits{.max_control_line = 64, .max_info = 96, .max_message = 48};

void append_text(std::string& seen, std::string_view text) {
    seen += std::to_string(text.size()) + ':';
    seen += text;
}

// All that the parser finds in chunks of this size.
std::string found_in(std::string_view bytes, std::size_t chunk_size) {
    relay::NatsParser parser(kLimits);
    std::string seen;
    while (!bytes.empty() && parser.flaw() == relay::NatsFlaw::kNone) {
        // A copy of its own lets ASan see a view that outlives its chunk.
        const std::string chunk(bytes.substr(0, chunk_size));
        bytes.remove_prefix(chunk.size());
        std::string_view input = chunk;
        while (const auto frame = parser.next(input)) {
            fuzz::expect(frame->payload.size() + frame->headers.size() + frame->description.size() <= kLimits.max_message);
            fuzz::expect(frame->subject.size() + frame->reply.size() <= kLimits.max_control_line);
            fuzz::expect(frame->text.size() <= kLimits.max_info);
            seen += std::to_string(static_cast<int>(frame->kind)) + ' ' + std::to_string(frame->sid) + ' ' +
                    std::to_string(frame->status) + ' ';
            for (const auto text :
                 {frame->text, frame->subject, frame->reply, frame->description, frame->headers, frame->payload})
                append_text(seen, text);
        }
        fuzz::expect(input.empty() || parser.flaw() != relay::NatsFlaw::kNone);
    }
    return seen += words_of(parser.flaw());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const auto bytes = fuzz::as_text(data + 1, size - 1);
    const std::string whole = found_in(bytes, std::max<std::size_t>(bytes.size(), 1));
    fuzz::expect(found_in(bytes, 1) == whole);
    fuzz::expect(found_in(bytes, data[0] % 16 + std::size_t{2}) == whole);
    return 0;
}
