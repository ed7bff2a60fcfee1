#include "report.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <stdexcept>

namespace bench {
namespace {

std::string figure(double value) {
    char text[64];
    if (value >= 1'000'000)
        std::snprintf(text, sizeof text, "%.2f M", value / 1'000'000);
    else if (value >= 100'000)
        std::snprintf(text, sizeof text, "%.0f k", value / 1000);
    else if (value >= 1000)
        std::snprintf(text, sizeof text, "%.2f k", value / 1000);
    else if (value >= 100)
        std::snprintf(text, sizeof text, "%.0f", value);
    else
        std::snprintf(text, sizeof text, "%.2f", value);
    return text;
}

// Counts characters, not bytes: continuation bytes of UTF-8 take no place.
std::size_t width(const std::string& text) {
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string number_list(const std::vector<double>& values) {
    std::string out = "[";
    char text[64];
    for (std::size_t i = 0; i < values.size(); ++i) {
        std::snprintf(text, sizeof text, "%s%.6g", i ? ", " : "", values[i]);
        out += text;
    }
    return out + "]";
}

}  // namespace

double median(std::vector<double> values) {
    if (values.empty()) return 0;
    std::sort(values.begin(), values.end());
    const std::size_t middle = values.size() / 2;
    return values.size() % 2 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

double percentile(std::vector<double> values, double fraction) {
    if (values.empty()) return 0;
    std::sort(values.begin(), values.end());
    const auto rank = static_cast<std::size_t>(std::ceil(fraction * static_cast<double>(values.size())));
    return values[std::clamp<std::size_t>(rank, 1, values.size()) - 1];
}

void Table::line(const std::string& label, const std::string& base) {
    lines_.push_back({label, base, {}, {}});
}

Table::Line& Table::find(const std::string& label) {
    for (Line& line : lines_)
        if (line.label == label) return line;
    throw std::logic_error("no line " + label);
}

const Table::Line* Table::find(const std::string& label) const {
    for (const Line& line : lines_)
        if (line.label == label) return &line;
    return nullptr;
}

const std::vector<double>& Table::values(const std::string& label) const {
    const Line* line = find(label);
    if (!line) throw std::logic_error("no line " + label);
    return line->values;
}

void Table::add(const std::string& label, double value) {
    find(label).values.push_back(value);
}

void Table::add_side(const std::string& label, const std::string& column, double value) {
    Line& line = find(label);
    for (Side& side : line.sides)
        if (side.column == column) return side.values.push_back(value);
    line.sides.push_back({column, {value}});
}

// Round by round, because rounds on a shared machine differ more than the sides do.
std::vector<double> Table::ratios(const Line& line) const {
    std::vector<double> found;
    const Line* base = find(line.base);
    if (!base) return found;
    for (std::size_t i = 0; i < std::min(line.values.size(), base->values.size()); ++i) {
        const double ours = line.values[i], theirs = base->values[i];
        if (ours > 0 && theirs > 0) found.push_back(higher_is_better_ ? ours / theirs : theirs / ours);
    }
    return found;
}

std::vector<std::string> Table::side_columns() const {
    std::vector<std::string> columns;
    for (const Line& line : lines_)
        for (const Side& side : line.sides)
            if (std::find(columns.begin(), columns.end(), side.column) == columns.end()) columns.push_back(side.column);
    return columns;
}

// The head of the table comes first. Each row has all columns.
std::vector<std::vector<std::string>> Table::cells() const {
    const std::vector<std::string> sides = side_columns();
    std::vector<std::vector<std::string>> rows;
    rows.push_back({"", unit_, "lowest", "highest", "ratio"});
    for (const std::string& column : sides) rows.back().push_back(column);
    for (const Line& line : lines_) {
        if (line.values.empty()) continue;
        const auto [low, high] = std::minmax_element(line.values.begin(), line.values.end());
        std::string ratio = find(line.base) == nullptr ? "" : "?";
        if (const std::vector<double> all = ratios(line); !all.empty()) {
            char text[32];
            std::snprintf(text, sizeof text, "%.2fx", median(all));
            ratio = text;
        }
        if (line.base == line.label) ratio = "1";
        rows.push_back({line.label, figure(median(line.values)), figure(*low), figure(*high), ratio});
        for (const std::string& column : sides) {
            std::string cell;
            for (const Side& side : line.sides)
                if (side.column == column) cell = figure(median(side.values));
            rows.back().push_back(cell);
        }
    }
    return rows;
}

std::string Table::as_text() const {
    const std::vector<std::vector<std::string>> rows = cells();
    std::vector<std::size_t> widths(rows[0].size(), 0);
    for (const auto& row : rows)
        for (std::size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], width(row[c]));
    std::string out = "\n" + name_ + ": " + title_ + "\n\n";
    for (std::size_t r = 0; r < rows.size(); ++r) {
        std::string text = " ";
        for (std::size_t c = 0; c < rows[r].size(); ++c) {
            const std::string fill(widths[c] - width(rows[r][c]), ' ');
            text += c == 0 ? " " + rows[r][c] + fill : "  " + fill + rows[r][c];
        }
        out += text + "\n";
        if (r == 0) out += "  " + std::string(width(text) - 2, '-') + "\n";
    }
    for (const std::string& note : notes_) out += "  " + note + "\n";
    return out;
}

std::string Table::as_tsv() const {
    const std::vector<std::vector<std::string>> rows = cells();
    constexpr std::size_t kFirstSide = 5;
    std::string out;
    for (std::size_t r = 1; r < rows.size(); ++r) {
        const std::vector<std::string>& row = rows[r];
        for (const std::string& cell : {name_, title_, row[0], unit_, row[1], row[2], row[3], row[4]}) out += cell + "\t";
        std::string sides;
        for (std::size_t c = kFirstSide; c < row.size(); ++c)
            if (!row[c].empty()) sides += (sides.empty() ? "" : "; ") + rows[0][c] + " " + row[c];
        out += sides + "\n";
    }
    return out;
}

std::string json_string(const std::string& text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') out.push_back('\\');
        if (static_cast<unsigned char>(c) < 0x20)
            out.push_back(' ');
        else
            out.push_back(c);
    }
    return out + "\"";
}

std::string Table::as_json() const {
    std::string out = "{\"benchmark\": " + json_string(name_) + ", \"unit\": " + json_string(unit_) + ", \"lines\": [";
    bool first = true;
    for (const Line& line : lines_) {
        if (line.values.empty()) continue;
        char text[64];
        std::snprintf(text, sizeof text, "%.6g", median(line.values));
        out += std::string(first ? "" : ",") + "\n    {\"label\": " + json_string(line.label) + ", \"median\": " + text +
               ", \"rounds\": " + number_list(line.values);
        if (!line.base.empty() && find(line.base)) {
            std::snprintf(text, sizeof text, "%.6g", median(ratios(line)));
            out += ", \"base\": " + json_string(line.base) + ", \"ratio\": " + text;
        }
        for (const Side& side : line.sides) out += ", " + json_string(side.column) + ": " + number_list(side.values);
        out += "}";
        first = false;
    }
    return out + "]}";
}

}  // namespace bench
