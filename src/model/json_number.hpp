// Turns the text of a JSON number into a double, bit by bit as the server reads one of type double precision.
#pragma once

#include <string_view>

namespace model {

enum class NumberFlaw {
    kNone,
    kTooLarge,     // it would become an infinity
    kTooNearZero,  // it is not zero, and would become zero
};

struct NumberOrFlaw {
    NumberFlaw flaw = NumberFlaw::kNone;
    double value = 0;  // of no flaw
};

// The text must be a number of JSON. The value is the nearest double. It may be denormal, and -0 keeps its sign.
NumberOrFlaw read_number(std::string_view text) noexcept;

}  // namespace model
