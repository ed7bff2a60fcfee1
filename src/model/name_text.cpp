// Finds invisible characters by the lists of Unicode 15.1.
#include "model/name_text.hpp"

#include <algorithm>

namespace model {
namespace {

struct CharacterRange {
    char32_t first, last;
};

constexpr CharacterRange kInvisible[] = {
    {0x00AD, 0x00AD},    // soft hyphen
    {0x034F, 0x034F},    // combining grapheme joiner
    {0x061C, 0x061C},    // Arabic letter mark
    {0x115F, 0x1160},    // Hangul fillers
    {0x17B4, 0x17B5},    // Khmer inherent vowels
    {0x180E, 0x180E},    // Mongolian vowel separator
    {0x200B, 0x200F},    // zero-width space, joiners, marks of direction
    {0x2028, 0x202E},    // line and paragraph separator, embeddings and overrides of direction
    {0x2060, 0x206F},    // word joiner, invisible operators, isolates of direction, deprecated format characters
    {0x3164, 0x3164},    // Hangul filler
    {0xFEFF, 0xFEFF},    // byte order mark
    {0xFFA0, 0xFFA0},    // halfwidth Hangul filler
    {0xFFF9, 0xFFFB},    // interlinear annotation
    {0x1BCA0, 0x1BCA3},  // shorthand format controls
    {0x1D173, 0x1D17A},  // musical format controls
    {0xE0000, 0xE007F},  // tags
};

constexpr CharacterRange kSpaces[] = {
    {0x0009, 0x000D}, {0x0020, 0x0020}, {0x0085, 0x0085}, {0x00A0, 0x00A0}, {0x1680, 0x1680},
    {0x2000, 0x200A}, {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F}, {0x3000, 0x3000},
};

template <std::size_t count>
bool is_in(const CharacterRange (&ranges)[count], char32_t c) noexcept {
    const CharacterRange* range = std::ranges::lower_bound(ranges, c, {}, &CharacterRange::last);
    return range != ranges + count && range->first <= c;
}

bool is_control(char32_t c) noexcept {
    return c < 0x20 || (c >= 0x7F && c < 0xA0);
}

struct Character {
    char32_t code_point;
    std::size_t size;  // in bytes
    bool is_utf8;
};

// The first character of a text that is not empty.
Character first_character_of(std::string_view text) noexcept {
    const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const char32_t lead = byte(0);
    const Character opaque{lead, 1, false};
    if (lead < 0x80) return {lead, 1, true};
    if (lead < 0xC2 || lead > 0xF4) return opaque;
    const std::size_t size = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (text.size() < size) return opaque;
    char32_t c = lead & (0x7Fu >> size);
    for (std::size_t i = 1; i < size; ++i) {
        if ((byte(i) & 0xC0) != 0x80) return opaque;
        c = c << 6 | (byte(i) & 0x3F);
    }
    const char32_t least = size == 2 ? 0x80 : size == 3 ? 0x800 : 0x10000;
    if (c < least || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000)) return opaque;
    return {c, size, true};
}

NameFlawKind kind_of(const Character& character) noexcept {
    if (!character.is_utf8) return NameFlawKind::kNone;
    if (is_control(character.code_point)) return NameFlawKind::kControl;
    return character.code_point >= 0x80 && is_in(kInvisible, character.code_point) ? NameFlawKind::kInvisible
                                                                                   : NameFlawKind::kNone;
}

bool is_space(const Character& character) noexcept {
    return character.is_utf8 && is_in(kSpaces, character.code_point);
}

// Most names are visible ASCII. In those each byte is a character.
bool is_visible_ascii(std::string_view text) noexcept {
    return std::ranges::all_of(text, [](char c) { return c >= 0x20 && c < 0x7F; });
}

void append_code_point(std::string& target, char32_t c) {
    constexpr char kHexDigits[] = "0123456789ABCDEF";
    const int digits = c < 0x80 ? 2 : c < 0x10000 ? 4 : 8;
    target += digits == 2 ? "\\x" : digits == 4 ? "\\u" : "\\U";
    for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4) target += kHexDigits[c >> shift & 15];
}

}  // namespace

NameFlaw flaw_of(std::string_view utf8, bool may_end_in_space) noexcept {
    if (utf8.empty()) return {};
    if (is_visible_ascii(utf8)) {
        if (may_end_in_space) return {};
        if (utf8.front() == ' ') return {NameFlawKind::kSpaceAtEnd, ' ', 1};
        return utf8.back() == ' ' ? NameFlaw{NameFlawKind::kSpaceAtEnd, ' ', utf8.size()} : NameFlaw{};
    }
    NameFlaw space;
    Character last{};
    std::size_t number = 0;
    for (; !utf8.empty(); utf8.remove_prefix(last.size)) {
        last = first_character_of(utf8);
        ++number;
        if (const NameFlawKind kind = kind_of(last); kind != NameFlawKind::kNone) return {kind, last.code_point, number};
        if (number == 1 && is_space(last)) space = {NameFlawKind::kSpaceAtEnd, last.code_point, number};
    }
    if (may_end_in_space) return {};
    if (space.kind == NameFlawKind::kNone && is_space(last)) space = {NameFlawKind::kSpaceAtEnd, last.code_point, number};
    return space;
}

void append_visibly(std::string& target, std::string_view utf8) {
    while (!utf8.empty()) {
        const Character character = first_character_of(utf8);
        const bool is_hidden =
            kind_of(character) != NameFlawKind::kNone || (character.code_point >= 0x80 && is_space(character));
        if (is_hidden)
            append_code_point(target, character.code_point);
        else
            target += utf8.substr(0, character.size);
        utf8.remove_prefix(character.size);
    }
}

std::string quoted_for_message(std::string_view text) {
    constexpr std::size_t kMaxShown = 60;
    auto shown = text;
    if (text.size() > kMaxShown) {
        auto end = kMaxShown;
        // The cut must not fall into a UTF-8 sequence, which is at most four bytes long.
        while (end > kMaxShown - 4 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
        shown = text.substr(0, end);
    }
    std::string quoted = "\"";
    append_visibly(quoted, shown);
    if (shown.size() < text.size()) quoted += "...";
    return quoted += '"';
}

}  // namespace model
