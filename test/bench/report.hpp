// A Table collects the figures of interleaved rounds. It prints them as text and as tab-separated lines, each median with its
// ratio to another line of the same rounds, and as JSON.
#pragma once

#include <string>
#include <vector>

namespace bench {

double median(std::vector<double> values);
// A fraction of 0.5 gives the median, 0.99 the 99th percentile (nearest rank).
double percentile(std::vector<double> values, double fraction);

class Table {
public:
    // higher_is_better decides which way a ratio reads: "1.2x" is always better than the line it is made to.
    Table(std::string name, std::string title, std::string unit, bool higher_is_better)
        : name_(std::move(name)), title_(std::move(title)), unit_(std::move(unit)), higher_is_better_(higher_is_better) {}

    // Declares a line; lines print in this order. base names the line that ratios are made to; an empty one prints no ratio.
    void line(const std::string& label, const std::string& base);
    // add() takes a figure of this round. Side figures ("WAL B/reading") print in columns of their own.
    void add(const std::string& label, double value);
    void add_side(const std::string& label, const std::string& column, double value);
    // Returns the figures of a line, round by round.
    const std::vector<double>& values(const std::string& label) const;
    void note(const std::string& text) { notes_.push_back(text); }

    std::string as_text() const;
    std::string as_json() const;
    // Each line of the table becomes a line of text. Its cells are those of as_text(), separated by tabs: benchmark, title,
    // line, unit, median, lowest, highest, ratio, and the side figures in one cell.
    std::string as_tsv() const;

private:
    struct Side {
        std::string column;
        std::vector<double> values;
    };
    struct Line {
        std::string label;
        std::string base;
        std::vector<double> values;
        std::vector<Side> sides;
    };
    Line& find(const std::string& label);
    const Line* find(const std::string& label) const;
    std::vector<double> ratios(const Line& line) const;
    std::vector<std::string> side_columns() const;
    std::vector<std::vector<std::string>> cells() const;

    std::string name_, title_, unit_;
    bool higher_is_better_;
    std::vector<Line> lines_;
    std::vector<std::string> notes_;
};

std::string json_string(const std::string& text);

}  // namespace bench
