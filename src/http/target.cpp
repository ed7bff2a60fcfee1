// Splits first and decodes then, so that an encoded separator separates nothing.
#include "http/target.hpp"

#include <algorithm>

namespace http {
namespace {

int digit_of(char c) noexcept {
    if (c >= '0' && c <= '9') return c - '0';
    const char lower = static_cast<char>(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

std::optional<std::string> decode(std::string_view text, bool plus_is_space) {
    std::string decoded;
    decoded.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        char c = text[i];
        if (c == '%') {
            if (i + 2 >= text.size()) return std::nullopt;
            const int high = digit_of(text[i + 1]), low = digit_of(text[i + 2]);
            if (high < 0 || low < 0) return std::nullopt;
            c = static_cast<char>(high << 4 | low);
            i += 2;
            if (c == '\0') return std::nullopt;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        decoded += c;
    }
    return decoded;
}

// Calls `body` with each piece between separators. False: `body` returned false.
template <typename Body>
bool for_each_piece(std::string_view text, char separator, Body body) {
    for (std::size_t begin = 0; begin <= text.size();) {
        const auto end = std::min(text.find(separator, begin), text.size());
        if (!body(text.substr(begin, end - begin))) return false;
        begin = end + 1;
    }
    return true;
}

}  // namespace

const std::string* Target::find(std::string_view name) const noexcept {
    const auto found = std::ranges::find(parameters, name, &std::pair<std::string, std::string>::first);
    return found == parameters.end() ? nullptr : &found->second;
}

std::optional<Target> parse_target(std::string_view text) {
    if (!text.starts_with('/')) return std::nullopt;
    const auto question = std::min(text.find('?'), text.size());
    Target target;
    bool is_good = for_each_piece(text.substr(1, question - 1), '/', [&](std::string_view piece) {
        auto segment = decode(piece, false);
        if (!segment) return false;
        target.path.push_back(*std::move(segment));
        return true;
    });
    if (target.path.size() == 1 && target.path.front().empty()) target.path.clear();
    if (question < text.size()) {
        is_good = is_good && for_each_piece(text.substr(question + 1), '&', [&](std::string_view piece) {
                      if (piece.empty()) return true;
                      const auto equals = std::min(piece.find('='), piece.size());
                      auto name = decode(piece.substr(0, equals), true);
                      auto value = decode(piece.substr(std::min(equals + 1, piece.size())), true);
                      if (!name || !value) return false;
                      target.parameters.emplace_back(*std::move(name), *std::move(value));
                      return true;
                  });
    }
    if (!is_good) return std::nullopt;
    return target;
}

}  // namespace http
