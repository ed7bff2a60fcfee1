// Describes standard output: whether it is a terminal that can be redrawn, its size, whether it takes colours and more than
// ASCII.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fleet {

struct Terminal {
    bool live = false;    // a terminal whose cursor moves; TERM is neither empty nor "dumb"
    bool colour = false;  // live, and NO_COLOR is not set
    bool utf8 = false;    // by the locale's variables

    static Terminal of_stdout();

    struct Size {
        int columns, rows;
    };
    // Asks the terminal each time, because users resize windows.
    static Size size();
};

enum class Style { kPlain, kBold, kDim, kRed, kGreen, kYellow, kBlue, kCyan };

// Holds a line of at most so many characters, and cuts the rest.
class Line {
public:
    Line(const Terminal& terminal, int columns) : terminal_(terminal), left_(columns) {}

    Line& put(std::string_view text, Style style = Style::kPlain);
    // Adds a text in a field of that width, and cuts a longer one.
    Line& left(std::string_view text, int width, Style style = Style::kPlain);
    Line& right(std::string_view text, int width, Style style = Style::kPlain);
    // Adds the last values as bars, newest at the right, coloured from blue to red or in one style.
    Line& bars(const std::vector<double>& values, int width, bool from_zero, Style style);
    Line& bars_by_value(const std::vector<double>& values, int width);
    // Adds a bar that is full at 1.
    Line& progress(double part, int width);

    int room() const { return left_; }
    const std::string& text() const { return text_; }

private:
    void draw_bars(const std::vector<double>& values, int width, bool from_zero, bool by_value, Style style);

    const Terminal& terminal_;
    int left_;
    std::string text_;
};

// Returns how many characters a text has.
int characters(std::string_view text);

}  // namespace fleet
