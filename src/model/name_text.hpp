// Finds the characters that a name must not have. These characters are invisible, so with them two different names could look
// the same. Names are those of devices, regions and metrics, and idempotency keys.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace model {

enum class NameFlawKind {
    kNone,
    kControl,     // general category Cc
    kInvisible,   // line and paragraph separators (Zl, Zp), zero-width and bidirectional controls, and the other
                  // Default_Ignorable_Code_Points. Variation selectors pass, because emoji and CJK names need them.
    kSpaceAtEnd,  // White_Space
};

struct NameFlaw {
    NameFlawKind kind = NameFlawKind::kNone;
    char32_t character = 0;
    std::size_t number = 0;  // number of the character in the name, from 1
};

// The first flaw of a text in UTF-8. A byte that is not UTF-8 counts as one visible character.
NameFlaw flaw_of(std::string_view utf8, bool may_end_in_space) noexcept;

// Appends the text. A character that would be a flaw anywhere in it becomes \x0A, \u200B or \U000E0041.
void append_visibly(std::string& target, std::string_view utf8);

// The part of a text that a message can carry, in double quotes. It has at most some 60 bytes, and is cut between characters.
std::string quoted_for_message(std::string_view text);

}  // namespace model
