// Compares the tags that a client sends.
#include "http/validators.hpp"

#include <charconv>
#include <string_view>

#include "model/json_text.hpp"
#include "model/sip_hash.hpp"

namespace http {
namespace {

std::string tag_of(std::string_view body) {
    model::SipHash hash{model::Secret{}};
    hash.update(body);
    char digits[16];
    const auto [end, error] = std::to_chars(digits, digits + sizeof digits, hash.finish(), 16);
    return '"' + std::string(digits, end) + '"';
}

// A tag has no double quote inside, so the text of one cannot be a part of another.
bool names(std::string_view if_none_match, std::string_view tag) noexcept {
    return if_none_match == "*" || if_none_match.find(tag) != if_none_match.npos;
}

}  // namespace

void add_validators(Response& response, const Request& request, std::optional<model::Micros> as_of) {
    const std::string tag = tag_of(response.body);
    response.with("ETag", tag);
    response.with("Cache-Control", "private, no-cache");
    if (as_of) {
        std::string time;
        model::append_json_time(time, *as_of);
        response.with("As-Of", time.substr(1, time.size() - 2));
    }
    if (!names(request.if_none_match, tag)) return;
    response.status = 304;
    response.content_type.clear();
    response.body.clear();
}

}  // namespace http
