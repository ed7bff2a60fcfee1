// Any bytes of a client become the same requests, in whichever pieces they come. Pieces may only delay a flaw: bytes that are
// good as a whole are good in pieces. What a request asks for is looked up, and its body unpacked, without harm.
#include <algorithm>
#include <string>
#include <variant>

#include "http/gzip.hpp"
#include "http/ingest_body.hpp"
#include "http/request_parser.hpp"
#include "http/route.hpp"

#include "fuzz.hpp"

namespace {

// These are small, so that inputs reach them.
constexpr std::size_t kMostBodyBytes = 64;
constexpr std::size_t kMostUnpackedBytes = 4096;

struct Outcome {
    std::string requests;
    bool has_flaw = false;
};

void append_text(std::string& seen, std::string_view text) {
    seen += std::to_string(text.size()) + ':';
    seen += text;
}

void append_request(std::string& seen, const http::Request& request) {
    seen += std::to_string(static_cast<int>(request.method)) + (request.keeps_alive ? 'k' : 'c') +
            (request.knows_chunks ? '1' : '0') + (request.accepts_gzip ? 'g' : '-') + (request.has_idempotency_key ? 'i' : '-');
    for (const std::string& segment : request.target.path) append_text(seen, segment);
    for (const auto& [name, value] : request.target.parameters) {
        append_text(seen, name);
        append_text(seen, value);
    }
    for (const std::string* text :
         {&request.authorization, &request.if_none_match, &request.idempotency_key, &request.last_event_id,
          &request.content_type, &request.content_encoding, &request.origin, &request.body})
        append_text(seen, *text);
    fuzz::expect(request.body.size() <= kMostBodyBytes);
}

void use(const http::Request& request) {
    const http::RouteMatch found = http::match(request);
    if (found.route != nullptr && found.flaw.empty()) fuzz::expect(found.values.size() == found.route->parameters.size());
    const auto body = http::ingest_body(request, kMostUnpackedBytes);
    if (const auto* problem = std::get_if<http::Problem>(&body)) fuzz::expect(problem->status >= 400 && problem->status < 500);
    std::string text;
    (void)http::unpack(request.body, kMostUnpackedBytes, text);
    fuzz::expect(text.size() <= kMostUnpackedBytes + 64 * 1024);
}

// All that a connection finds in pieces of this size.
Outcome found_in(std::string_view bytes, std::size_t piece_size, bool is_used) {
    Outcome outcome;
    http::RequestParser parser(kMostBodyBytes);
    std::string input;
    for (;;) {
        // A copy of its own lets ASan see a view that outlives its piece.
        const std::string piece = input;
        input.erase(0, parser.take(piece));
        outcome.has_flaw = parser.flaw().has_value();
        if (!outcome.has_flaw && parser.is_complete()) {
            const http::Request request = parser.request();
            append_request(outcome.requests, request);
            if (is_used) use(request);
            parser = http::RequestParser(kMostBodyBytes);
            if (!input.empty()) continue;
        }
        if (outcome.has_flaw || bytes.empty()) return outcome;
        (void)parser.take_expectation();
        input += bytes.substr(0, piece_size);
        bytes.remove_prefix(std::min(piece_size, bytes.size()));
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const auto bytes = fuzz::as_text(data + 1, size - 1);
    const Outcome whole = found_in(bytes, std::max<std::size_t>(bytes.size(), 1), true);
    for (const std::size_t piece_size : {std::size_t{1}, data[0] % 16 + std::size_t{2}}) {
        const Outcome pieces = found_in(bytes, piece_size, false);
        fuzz::expect(pieces.requests == whole.requests);
        fuzz::expect(whole.has_flaw || !pieces.has_flaw);
    }
    return 0;
}
