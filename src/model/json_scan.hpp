// Looks at a JSON text that no parser has accepted.
#pragma once

#include <cstddef>
#include <string_view>

namespace model {

// The first byte at or after `at` that is not a space of JSON; the size of the text: there is none.
std::size_t skip_json_space(std::string_view text, std::size_t at) noexcept;

// The end of the value that begins at `at`: of an object or array its last bracket, of a string its last quote, of anything
// else the byte before a space, a comma or a bracket. It minds strings and nesting, and checks nothing besides. npos: the
// value is empty or not finished, or another kind of bracket ends it.
std::size_t end_of_json_value(std::string_view text, std::size_t at) noexcept;

// Tells whether the text ends with an escape such as \ud83d, the first half of a surrogate pair.
bool ends_with_first_surrogate(std::string_view text) noexcept;

}  // namespace model
