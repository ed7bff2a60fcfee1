#include "csv_reader.hpp"

#include <algorithm>
#include <stdexcept>
#include <string_view>

namespace fleet {

CsvReader::CsvReader(std::istream& input) : input_(*input.rdbuf()) {
    constexpr std::string_view kMark = "\xEF\xBB\xBF";
    char first[kMark.size()];
    const auto size = static_cast<std::size_t>(input_.sgetn(first, kMark.size()));
    if (std::string_view(first, size) != kMark) input_.pubseekpos(0, std::ios::in);
}

bool CsvReader::next(std::vector<std::string>& fields) {
    constexpr int kEnd = std::char_traits<char>::eof();
    fields.clear();
    std::string field;
    bool quoted = false, any = false;
    record_line_ = line_;
    for (;;) {
        const int c = input_.sbumpc();
        if (quoted) {
            if (c == kEnd) throw std::runtime_error("line " + std::to_string(record_line_) + ": a quote is not closed");
            if (c == '\n') ++line_;
            if (c != '"')
                field.push_back(static_cast<char>(c));
            else if (input_.sgetc() == '"')
                field.push_back(static_cast<char>(input_.sbumpc()));
            else
                quoted = false;
            continue;
        }
        if (c == '"' && field.empty()) {
            quoted = any = true;
        } else if (c == ',') {
            fields.push_back(std::move(field));
            field.clear();
            any = true;
        } else if (c == '\n' || c == kEnd) {
            if (c == '\n') ++line_;
            if (any || !field.empty()) {
                fields.push_back(std::move(field));
                return true;
            }
            if (c == kEnd) return false;
            record_line_ = line_;
        } else if (c != '\r' || (input_.sgetc() != '\n' && input_.sgetc() != kEnd)) {
            field.push_back(static_cast<char>(c));
        }
    }
}

std::int64_t CsvReader::bytes() const {
    return std::max<std::int64_t>(input_.pubseekoff(0, std::ios::cur, std::ios::in), 0);
}

}  // namespace fleet
