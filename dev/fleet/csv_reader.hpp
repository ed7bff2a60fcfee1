// Reads comma-separated records: quotes as in RFC 4180, lines ended by LF or CRLF, with or without the byte order mark of
// UTF-8.
#pragma once

#include <cstdint>
#include <istream>
#include <string>
#include <vector>

namespace fleet {

class CsvReader {
public:
    explicit CsvReader(std::istream& input);  // a file, at its beginning

    // The next record that is not an empty line; false at the end.
    bool next(std::vector<std::string>& fields);
    std::int64_t line() const { return record_line_; }  // where the last record began, from 1
    std::int64_t bytes() const;                         // read so far

private:
    std::streambuf& input_;
    std::int64_t line_ = 1;
    std::int64_t record_line_ = 0;
};

}  // namespace fleet
