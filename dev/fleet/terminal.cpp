#include "terminal.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include <sys/ioctl.h>
#include <unistd.h>

namespace fleet {
namespace {

constexpr std::array kBars = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
constexpr std::array kAsciiBars = {"_", ".", ",", "-", "=", "+", "*", "#"};

const char* code_of(Style style) {
    switch (style) {
        case Style::kPlain:
            return "";
        case Style::kBold:
            return "\033[1m";
        case Style::kDim:
            return "\033[2m";
        case Style::kRed:
            return "\033[31m";
        case Style::kGreen:
            return "\033[32m";
        case Style::kYellow:
            return "\033[33m";
        case Style::kBlue:
            return "\033[34m";
        case Style::kCyan:
            return "\033[36m";
    }
    return "";
}

std::string environment(const char* name) {
    const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nobody changes the environment
    return value == nullptr ? "" : value;
}

bool locale_is_utf8() {
    for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
        const std::string value = environment(name);
        if (value.empty()) continue;
        for (const char* word : {"UTF-8", "utf-8", "UTF8", "utf8"})
            if (value.find(word) != std::string::npos) return true;
        return false;
    }
    return false;
}

bool starts_character(char c) {
    return (c & 0xC0) != 0x80;
}

// Returns the first characters of a text.
std::string_view head(std::string_view text, int count) {
    std::size_t end = 0;
    for (; end < text.size(); ++end)
        if (starts_character(text[end]) && count-- == 0) break;
    return text.substr(0, end);
}

}  // namespace

Terminal Terminal::of_stdout() {
    Terminal t;
    const std::string term = environment("TERM");
    t.live = isatty(STDOUT_FILENO) != 0 && !term.empty() && term != "dumb";
    t.colour = t.live && environment("NO_COLOR").empty();
    t.utf8 = locale_is_utf8();
    return t;
}

Terminal::Size Terminal::size() {
    winsize w{};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0 && w.ws_row > 0) return {w.ws_col, w.ws_row};
    return {80, 24};
}

int characters(std::string_view text) {
    return static_cast<int>(std::count_if(text.begin(), text.end(), starts_character));
}

Line& Line::put(std::string_view text, Style style) {
    text = head(text, left_);
    left_ -= characters(text);
    const bool styled = terminal_.colour && style != Style::kPlain && !text.empty();
    if (styled) text_ += code_of(style);
    text_ += text;
    if (styled) text_ += "\033[0m";
    return *this;
}

Line& Line::left(std::string_view text, int width, Style style) {
    text = head(text, width);
    put(text, style);
    return put(std::string(static_cast<std::size_t>(width - characters(text)), ' '));
}

Line& Line::right(std::string_view text, int width, Style style) {
    text = head(text, width);
    put(std::string(static_cast<std::size_t>(width - characters(text)), ' '));
    return put(text, style);
}

Line& Line::bars(const std::vector<double>& values, int width, bool from_zero, Style style) {
    draw_bars(values, width, from_zero, false, style);
    return *this;
}

Line& Line::bars_by_value(const std::vector<double>& values, int width) {
    draw_bars(values, width, false, true, Style::kPlain);
    return *this;
}

void Line::draw_bars(const std::vector<double>& values, int width, bool from_zero, bool by_value, Style style) {
    width = std::clamp(width, 0, left_);  // A narrow terminal may have no room for them.
    const int shown = std::min(width, static_cast<int>(values.size()));
    put(std::string(static_cast<std::size_t>(width - shown), ' '));
    if (shown == 0) return;
    const auto begin = values.end() - shown;
    const auto [low, high] = std::minmax_element(begin, values.end());
    const double from = from_zero ? 0 : *low, span = std::max(*high - from, 1e-9);
    constexpr std::array kByLevel = {Style::kBlue, Style::kCyan, Style::kGreen, Style::kYellow, Style::kRed};
    for (auto it = begin; it != values.end(); ++it) {
        const double part = std::clamp((*it - from) / span, 0.0, 1.0);
        const auto level = static_cast<std::size_t>(part * 7.99);
        const Style one = by_value ? kByLevel[static_cast<std::size_t>(part * 4.99)] : style;
        put(terminal_.utf8 ? kBars[level] : kAsciiBars[level], one);
    }
}

Line& Line::progress(double part, int width) {
    const int full = static_cast<int>(std::lround(std::clamp(part, 0.0, 1.0) * width));
    for (int i = 0; i < width; ++i) {
        if (i < full)
            put(terminal_.utf8 ? "━" : "#", Style::kGreen);
        else
            put(terminal_.utf8 ? "─" : "-", Style::kDim);
    }
    return *this;
}

}  // namespace fleet
