// Reads comma-separated records with quotes as in RFC 4180. Lines end with LF or CRLF, and the byte order mark of UTF-8 may be
// there.
#pragma once

#include <cstdint>
#include <istream>
#include <string>
#include <vector>

namespace fleet {

class CsvReader {
public:
    explicit CsvReader(std::istream& input);  // a file, at its beginning

    // Reads the next record that is not an empty line; returns false at the end.
    bool next(std::vector<std::string>& fields);
    std::int64_t line() const { return record_line_; }  // where the last record began, from 1
    std::int64_t bytes() const;                         // read so far

private:
    std::streambuf& input_;
    std::int64_t line_ = 1;
    std::int64_t record_line_ = 0;
};

}  // namespace fleet
