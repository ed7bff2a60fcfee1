// Looks at the fields of the request, and at the first byte of the body.
#include "http/ingest_body.hpp"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "http/gzip.hpp"
#include "model/json_scan.hpp"
#include "model/json_text.hpp"

namespace http {
namespace {

constexpr std::string_view kSpace = " \t\r\n";

std::string_view trimmed(std::string_view text) noexcept {
    const auto begin = text.find_first_not_of(kSpace);
    if (begin == text.npos) return {};
    return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

// The type without parameters, in lower case.
std::string media_type_of(std::string_view field) {
    std::string type(trimmed(field.substr(0, field.find(';'))));
    std::ranges::transform(type, type.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
    return type;
}

// Each line that is not empty becomes an item. A line that is no object by itself becomes a text, which the door refuses: so it
// spoils no other line.
std::string array_of_lines(std::string_view lines) {
    std::string array = "[";
    for (std::size_t begin = 0; begin < lines.size();) {
        const auto end = std::min(lines.find('\n', begin), lines.size());
        const std::string_view line = trimmed(lines.substr(begin, end - begin));
        begin = end + 1;
        if (line.empty()) continue;
        if (array.size() > 1) array += ',';
        if (line.front() == '{' && model::end_of_json_value(line, 0) == line.size())
            array += line;
        else
            model::append_json_string(array, line);
    }
    array += ']';
    return array;
}

// Nothing: the field is no key. A key may stand in double quotes, as a structured field (RFC 8941), and has ASCII only, as
// those have: bytes of no encoding would all become one key.
std::optional<std::string> key_of(std::string_view field) {
    field = trimmed(field);
    if (std::ranges::any_of(field, [](char c) { return static_cast<unsigned char>(c) >= 0x80; })) return std::nullopt;
    if (!field.starts_with('"')) return std::string(field);
    if (field.size() < 2 || field.back() != '"') return std::nullopt;
    std::string key;
    for (std::size_t i = 1; i + 1 < field.size(); ++i) {
        if (field[i] == '\\' && ++i + 1 >= field.size()) return std::nullopt;
        key += field[i];
    }
    return key;
}

// Puts the key before the other members. An object that has one, too, is refused by the door as one with two.
std::string with_key(std::string_view object, const std::string& key) {
    std::string json = "{\"idempotency_key\":";
    model::append_json_string(json, key);
    const std::string_view rest = object.substr(1);
    if (!trimmed(rest).starts_with('}')) json += ',';
    return json.append(rest);
}

}  // namespace

std::variant<IngestBody, Problem> ingest_body(const Request& request, std::size_t most_bytes) {
    const std::string type = media_type_of(request.content_type);
    const bool has_lines = type == "application/x-ndjson";
    if (!has_lines && type != "application/json")
        return Problem{.status = 415,
                       .detail = "The body is of type \"" + type + "\".",
                       .hint = "Send Content-Type: application/json, or application/x-ndjson."};
    std::string unpacked;
    std::string_view text = request.body;
    const std::string coding = media_type_of(request.content_encoding);
    if (coding == "gzip") {
        switch (unpack(request.body, most_bytes, unpacked)) {
            case UnpackFlaw::kTooLarge:
                return Problem{.status = 413, .detail = "The unpacked body is larger than telemetry_cqrs.http_body allows."};
            case UnpackFlaw::kBroken:
                return Problem{.status = 400, .detail = "The body is not in the coding gzip."};
            case UnpackFlaw::kNone:
                break;
        }
        text = unpacked;
    } else if (!coding.empty() && coding != "identity") {
        return Problem{.status = 415,
                       .detail = "The body has the coding \"" + coding + "\".",
                       .hint = "Send it plain, or in the coding gzip."};
    }
    IngestBody body;
    if (has_lines) {
        body.json = array_of_lines(text);
    } else {
        const std::string_view whole = trimmed(text);
        body.is_single = whole.starts_with('{');
        body.json = whole;
    }
    if (!request.has_idempotency_key) return body;
    const auto key = key_of(request.idempotency_key);
    if (!key)
        return Problem{
            .status = 400,
            .detail = "The field Idempotency-Key is no key.",
            .hint = "Send the key in ASCII, as it is or in double quotes. The member idempotency_key may have others."};
    if (!body.is_single)
        return Problem{.status = 400,
                       .detail = "The field Idempotency-Key is for a single reading.",
                       .hint = "In a list give each object the member idempotency_key."};
    body.json = with_key(body.json, *key);
    return body;
}

}  // namespace http
