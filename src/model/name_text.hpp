// The characters that a name (of a device, a region, a metric; an idempotency key) must not have: those that nobody sees, so
// that two names that look the same are the same.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace model {

enum class NameFlawKind {
    kNone,
    kControl,     // general category Cc
    kInvisible,   // line and paragraph separators (Zl, Zp), and what has no shape of its own: zero-width and bidirectional
                  // controls and the other Default_Ignorable_Code_Points. Variation selectors are let pass: emoji and CJK names
                  // are written with them.
    kSpaceAtEnd,  // White_Space
};

struct NameFlaw {
    NameFlawKind kind = NameFlawKind::kNone;
    char32_t character = 0;
    std::size_t number = 0;  // number of the character in the name, from 1
};

// The first flaw of a text in UTF-8. Bytes that are no UTF-8 are taken as visible characters, each for itself.
NameFlaw flaw_of(std::string_view utf8, bool may_end_in_space) noexcept;

// Appends the text, each character that would be a flaw anywhere in it as \x0A, \u200B or \U000E0041.
void append_visibly(std::string& target, std::string_view utf8);

}  // namespace model
