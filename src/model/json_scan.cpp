// Counts brackets, and skips strings.
#include "model/json_scan.hpp"

#include <algorithm>

namespace model {
namespace {

constexpr auto kNowhere = std::string_view::npos;

// `at` is behind the quote that begins the string.
std::size_t end_of_string(std::string_view text, std::size_t at) noexcept {
    for (; at < text.size(); ++at) {
        if (text[at] == '"') return at + 1;
        if (text[at] == '\\') ++at;
    }
    return kNowhere;
}

std::size_t end_of_nested(std::string_view text, std::size_t at) noexcept {
    const char last = text[at] == '{' ? '}' : ']';
    std::size_t depth = 0;
    while (at < text.size()) {
        switch (text[at++]) {
            case '"':
                at = end_of_string(text, at);
                break;
            case '{':
            case '[':
                ++depth;
                break;
            case '}':
            case ']':
                if (--depth == 0) return text[at - 1] == last ? at : kNowhere;
                break;
            default:
                break;
        }
    }
    return kNowhere;
}

int hex_digit(char c) noexcept {
    return c >= '0' && c <= '9' ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
}

}  // namespace

std::size_t skip_json_space(std::string_view text, std::size_t at) noexcept {
    while (at < text.size() && (text[at] == ' ' || text[at] == '\n' || text[at] == '\r' || text[at] == '\t')) ++at;
    return at;
}

std::size_t end_of_json_value(std::string_view text, std::size_t at) noexcept {
    if (at >= text.size()) return kNowhere;
    if (text[at] == '{' || text[at] == '[') return end_of_nested(text, at);
    if (text[at] == '"') return end_of_string(text, at + 1);
    const auto end = std::min(text.find_first_of(" \n\r\t,[]{}\":", at), text.size());
    return end == at ? kNowhere : end;
}

bool ends_with_first_surrogate(std::string_view text) noexcept {
    if (text.size() < 6) return false;
    const auto escape = text.substr(text.size() - 6);
    if (escape[0] != '\\' || escape[1] != 'u' || hex_digit(escape[2]) != 13) return false;
    if (hex_digit(escape[3]) < 8 || hex_digit(escape[3]) > 11 || hex_digit(escape[4]) < 0 || hex_digit(escape[5]) < 0)
        return false;
    // An even number of backslashes stands for backslashes only.
    std::size_t backslashes = 1;
    while (backslashes + 5 < text.size() && text[text.size() - 6 - backslashes] == '\\') ++backslashes;
    return backslashes % 2 == 1;
}

}  // namespace model
