// Encodes values as PostgreSQL takes them on the wire: arrays and COPY rows, in the text and in the binary format.
#pragma once

#include <bit>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

namespace client::wire {

enum class Format { kText, kBinary };

// The object ids of the server's built-in types never change.
enum class TypeOid : std::uint32_t { kText = 25, kFloat8 = 701, kTimestamptz = 1184, kJsonb = 3802 };

template <typename Integer>
void append_big_endian(std::string& out, Integer value) {
    for (int shift = 8 * (static_cast<int>(sizeof value) - 1); shift >= 0; shift -= 8)
        out.push_back(static_cast<char>((static_cast<std::uint64_t>(value) >> shift) & 0xFF));
}

constexpr std::int64_t kMicrosecondsFrom1970To2000 = 946'684'800'000'000;

inline std::string binary_float8(double value) {
    std::string out;
    append_big_endian(out, std::bit_cast<std::uint64_t>(value));
    return out;
}

// unix_us counts microseconds since 1970.
inline std::string binary_timestamptz(std::int64_t unix_us) {
    std::string out;
    append_big_endian(out, unix_us - kMicrosecondsFrom1970To2000);
    return out;
}

inline std::string binary_jsonb(std::string_view json) {
    return std::string(1, '\1').append(json);
}

// Returns the shortest text that reads back as the same number, and NaN and Infinity in the server's spelling.
inline std::string text_float8(double value) {
    if (value != value) return "NaN";
    if (value - value != 0) return value > 0 ? "Infinity" : "-Infinity";
    char buffer[32];
    return {buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr};
}

// Returns ISO 8601 in UTC.
inline std::string text_timestamptz(std::int64_t unix_us) {
    // The usual 400-year cycle arithmetic turns days into a civil date (years run from March).
    constexpr std::int64_t kDayUs = 86'400'000'000;
    std::int64_t days = unix_us / kDayUs, rest = unix_us % kDayUs;
    if (rest < 0) rest += kDayUs, --days;
    const std::int64_t shifted = days + 719'468;
    const std::int64_t era = (shifted >= 0 ? shifted : shifted - 146'096) / 146'097;
    const std::int64_t day_of_era = shifted - era * 146'097;
    const std::int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
    const std::int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const std::int64_t month_from_march = (5 * day_of_year + 2) / 153;
    const int day = static_cast<int>(day_of_year - (153 * month_from_march + 2) / 5 + 1);
    const int month = static_cast<int>(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9);
    const int year = static_cast<int>(year_of_era + era * 400 + (month <= 2 ? 1 : 0));
    const int seconds = static_cast<int>(rest / 1'000'000);
    char buffer[96];
    std::snprintf(buffer, sizeof buffer, "%04d-%02d-%02d %02d:%02d:%02d.%06d+00", year, month, day, seconds / 3600,
                  seconds / 60 % 60, seconds % 60, static_cast<int>(rest % 1'000'000));
    return buffer;
}

// Builds a one-dimensional array, element by element, in the chosen format of the same value.
class Array {
public:
    Array(TypeOid element, Format format) : element_(element), format_(format) {}

    void add(std::string_view value) {
        ++count_;
        if (format_ == Format::kBinary) {
            append_big_endian(body_, static_cast<std::int32_t>(value.size()));
            body_.append(value);
            return;
        }
        if (count_ > 1) body_.push_back(',');
        body_.push_back('"');
        for (const char c : value) {
            if (c == '"' || c == '\\') body_.push_back('\\');
            body_.push_back(c);
        }
        body_.push_back('"');
    }

    void add_null() {
        ++count_;
        has_null_ = true;
        if (format_ == Format::kBinary) {
            append_big_endian(body_, std::int32_t{-1});
            return;
        }
        if (count_ > 1) body_.push_back(',');
        body_.append("NULL");
    }

    void add_float8(double value) { add(format_ == Format::kBinary ? binary_float8(value) : text_float8(value)); }
    void add_timestamptz(std::int64_t unix_us) {
        add(format_ == Format::kBinary ? binary_timestamptz(unix_us) : text_timestamptz(unix_us));
    }
    void add_jsonb(std::string_view json) {
        if (format_ == Format::kBinary)
            add(binary_jsonb(json));
        else
            add(json);
    }

    std::int32_t count() const { return count_; }

    // Returns the value to send.
    std::string value() const {
        if (format_ == Format::kText) return "{" + body_ + "}";
        std::string out;
        append_big_endian(out, std::int32_t{count_ > 0 ? 1 : 0});  // dimensions
        append_big_endian(out, std::int32_t{has_null_ ? 1 : 0});
        append_big_endian(out, static_cast<std::uint32_t>(element_));
        if (count_ > 0) {
            append_big_endian(out, count_);
            append_big_endian(out, std::int32_t{1});  // lower bound
        }
        return out + body_;
    }

private:
    TypeOid element_;
    Format format_;
    std::int32_t count_ = 0;
    bool has_null_ = false;
    std::string body_;
};

// Builds the data of one COPY ... FROM STDIN.
class CopyRows {
public:
    CopyRows(Format format, std::int16_t columns) : format_(format), columns_(columns) {
        if (format_ == Format::kBinary) {
            body_.append("PGCOPY\n\377\r\n", 11);       // the literal's own end is the signature's eleventh byte
            append_big_endian(body_, std::int32_t{0});  // flags
            append_big_endian(body_, std::int32_t{0});  // length of the header extension
        }
    }

    void begin_row() {
        if (format_ == Format::kBinary) append_big_endian(body_, columns_);
        first_ = true;
    }
    void add(std::string_view value) {
        if (format_ == Format::kBinary) {
            append_big_endian(body_, static_cast<std::int32_t>(value.size()));
            body_.append(value);
            return;
        }
        if (!first_) body_.push_back('\t');
        first_ = false;
        for (const char c : value) {
            if (c == '\\' || c == '\t' || c == '\n' || c == '\r') {
                body_.push_back('\\');
                body_.push_back(c == '\t' ? 't' : c == '\n' ? 'n' : c == '\r' ? 'r' : c);
            } else {
                body_.push_back(c);
            }
        }
    }
    void add_null() {
        if (format_ == Format::kBinary) {
            append_big_endian(body_, std::int32_t{-1});
            return;
        }
        if (!first_) body_.push_back('\t');
        first_ = false;
        body_.append("\\N");
    }
    void add_float8(double value) { add(format_ == Format::kBinary ? binary_float8(value) : text_float8(value)); }
    void add_timestamptz(std::int64_t unix_us) {
        add(format_ == Format::kBinary ? binary_timestamptz(unix_us) : text_timestamptz(unix_us));
    }
    void end_row() {
        if (format_ == Format::kText) body_.push_back('\n');
    }

    std::string data() const {
        std::string out = body_;
        if (format_ == Format::kBinary) append_big_endian(out, std::int16_t{-1});
        return out;
    }

private:
    Format format_;
    std::int16_t columns_;
    bool first_ = true;
    std::string body_;
};

}  // namespace client::wire
