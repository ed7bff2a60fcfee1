// Gives texts of the database in UTF-8, and texts of ours in the encoding of the database.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace postgres {

// Returns the function that gives the UTF-8 form of a text of this database. Null: texts of this database are in UTF-8, or
// their encoding is unknown (SQL_ASCII). The function turns a character that Unicode lacks into '?'. It throws PgError and
// std::bad_alloc.
auto utf8_conversion() noexcept -> std::string (*)(std::string_view);

// Returns the UTF-8 form of a text of this database, with U+FFFD for a character that Unicode lacks. Nothing: `utf8_conversion`
// is null, and the text is in UTF-8 already. No other encoding has U+FFFD, and so `from_utf8` does not take such a text back.
std::optional<std::string> marked_utf8(std::string_view text);

// The same, but it also makes UTF-8 of a text of SQL_ASCII, which may have any bytes: U+FFFD stands for each byte that is no
// part of a character.
std::string strict_utf8(std::string_view text);

// Returns a text in UTF-8 in the encoding of this database. Nothing: the encoding lacks one of its characters. Where
// `utf8_conversion` is null, the text is returned as it is. It throws as that function does.
std::optional<std::string> from_utf8(std::string_view text);

// Does the same, with '?' for a character that the encoding lacks.
std::string from_utf8_lossily(std::string_view text);

// Returns the text in a form that fits a message. A text that was shortened between characters of UTF-8 may end inside a
// character of another encoding. Of such a text only the ASCII characters stay, and each other byte becomes '?'.
std::string presentable(std::string text);

}  // namespace postgres
