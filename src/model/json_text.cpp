// Escapes texts and formats numbers for JSON.
#include "model/json_text.hpp"

#include <algorithm>
#include <charconv>

#include "model/time_text.hpp"

namespace model {

namespace {

template <typename Number>
void append_number(std::string& json, Number number) {
    char digits[32];
    const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
    json.append(digits, end);
}

void append_escape(std::string& json, unsigned unit) {
    constexpr char kHexDigits[] = "0123456789abcdef";
    json += "\\u";
    for (int shift = 12; shift >= 0; shift -= 4) json += kHexDigits[(unit >> shift) & 15];
}

void append_escaped_character(std::string& json, char32_t character) {
    if (character < 0x10000) return append_escape(json, character);
    append_escape(json, 0xd800 + ((character - 0x10000) >> 10));
    append_escape(json, 0xdc00 + ((character - 0x10000) & 0x3ff));
}

// Takes a character that is not ASCII off the front of valid UTF-8. Off other text it takes one byte, and gives the replacement
// character.
char32_t take_character(std::string_view& text) {
    constexpr char32_t kReplacement = 0xfffd;
    const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const std::size_t length = byte(0) >= 0xf0 ? 4 : byte(0) >= 0xe0 ? 3 : 2;
    char32_t character = byte(0) & (0xff >> (length + 1));
    bool is_valid = byte(0) >= 0xc0 && byte(0) < 0xf8 && text.size() >= length;
    for (std::size_t i = 1; is_valid && i < length; ++i) {
        is_valid = (byte(i) & 0xc0) == 0x80;
        character = character << 6 | (byte(i) & 0x3f);
    }
    // A sequence that is longer than it need be, half a pair of UTF-16 or beyond Unicode is not valid.
    constexpr char32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
    is_valid = is_valid && character >= kLeast[length] && (character & ~char32_t{0x7ff}) != 0xd800 && character <= 0x10ffff;
    text.remove_prefix(is_valid ? length : 1);
    return is_valid ? character : kReplacement;
}

bool stands_for_itself(char c) noexcept {
    return c >= 0x20 && c != '"' && c != '\\' && static_cast<unsigned char>(c) < 0x80;
}

// Takes a character that does not stand for itself off the front, and appends its escape.
void append_special(std::string& json, std::string_view& text) {
    const char c = text.front();
    if (static_cast<unsigned char>(c) >= 0x80) return append_escaped_character(json, take_character(text));
    text.remove_prefix(1);
    switch (c) {
        case '"':
            json += "\\\"";
            break;
        case '\\':
            json += "\\\\";
            break;
        case '\b':
            json += "\\b";
            break;
        case '\f':
            json += "\\f";
            break;
        case '\n':
            json += "\\n";
            break;
        case '\r':
            json += "\\r";
            break;
        case '\t':
            json += "\\t";
            break;
        default:
            append_escape(json, static_cast<unsigned char>(c));
    }
}

}  // namespace

void append_json_string(std::string& json, std::string_view text) {
    json += '"';
    while (!text.empty()) {
        const auto special = std::find_if(text.begin(), text.end(), [](char c) { return !stands_for_itself(c); });
        const auto plain = static_cast<std::size_t>(special - text.begin());
        json.append(text.substr(0, plain));
        text.remove_prefix(plain);
        if (!text.empty()) append_special(json, text);
    }
    json += '"';
}

void append_json_number(std::string& json, std::int64_t number) {
    append_number(json, number);
}

void append_json_number(std::string& json, double number) {
    append_number(json, number);
}

void append_json_time(std::string& json, Micros at) {
    json += '"';
    append_time(json, at);
    json += '"';
}

}  // namespace model
