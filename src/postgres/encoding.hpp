// Texts of the database in UTF-8, and texts of ours in the encoding of the database.
#pragma once

#include <string>
#include <string_view>

namespace postgres {

// The function that gives the UTF-8 form of a text of this database; null where texts are in UTF-8, or where nobody knows what
// they are in (SQL_ASCII). A character that Unicode lacks becomes '?'. The function throws PgError and std::bad_alloc.
using Utf8Conversion = std::string (*)(std::string_view);
Utf8Conversion utf8_conversion() noexcept;

// The text, fit for a message. Texts are shortened by bytes in UTF-8's way, which may cut a character of another encoding: then
// only the ASCII part is shown.
std::string presentable(std::string text);

}  // namespace postgres
