// Writes the text form of a summary, and reads it strictly.
#include "summary/summary_text.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <system_error>
#include <utility>

namespace summary {

namespace {

constexpr std::string_view kInfinity = "\"Infinity\"";
constexpr std::array<std::string_view, 10> kNames = {"version", "count",       "mean",       "m2",       "min",
                                                     "max",     "first_value", "last_value", "first_at", "last_at"};
enum SummaryMember : std::size_t { kVersion, kCount, kMean, kM2, kMin, kMax, kFirstValue, kLastValue, kFirstAt, kLastAt };

class SummaryWriter {
public:
    template <typename Number>
    void member(SummaryMember member, Number value) {
        text_ += text_.empty() ? '{' : ',';
        text_ += '"';
        text_ += kNames[member];
        text_ += "\":";
        char digits[32];
        const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
        text_.append(digits, end);
    }
    void member_m2(double value) {
        if (std::isfinite(value)) {
            member(kM2, value);
        } else {
            text_ += ",\"m2\":";
            text_ += kInfinity;
        }
    }
    std::string finish() {
        text_ += '}';
        return std::move(text_);
    }

private:
    std::string text_;
};

bool is_digit(char c) noexcept {
    return c >= '0' && c <= '9';
}

class SummaryReader {
public:
    explicit SummaryReader(std::string_view text) noexcept : rest_(text) {}

    // Takes the next token if it begins with `expected`.
    bool take(std::string_view expected) noexcept {
        skip_white_space();
        if (!rest_.starts_with(expected)) return false;
        rest_.remove_prefix(expected.size());
        return true;
    }

    std::optional<SummaryMember> take_name() noexcept {
        if (!take("\"")) return std::nullopt;
        const auto length = rest_.find('"');
        if (length == std::string_view::npos) return std::nullopt;
        const auto name = rest_.substr(0, length);
        rest_.remove_prefix(length + 1);
        for (std::size_t i = 0; i < kNames.size(); ++i)
            if (kNames[i] == name) return static_cast<SummaryMember>(i);
        return std::nullopt;
    }

    template <typename Number>
    bool take_number(Number& value) noexcept {
        skip_white_space();
        const auto token = rest_.substr(0, rest_.find_first_of(" \t\n\r,}"));
        if (!is_json_number(token)) return false;
        const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), value);
        if (error != std::errc{} || end != token.data() + token.size()) return false;
        rest_.remove_prefix(token.size());
        return true;
    }

    bool at_end() noexcept {
        skip_white_space();
        return rest_.empty();
    }

private:
    void skip_white_space() noexcept {
        const auto start = rest_.find_first_not_of(" \t\n\r");
        rest_.remove_prefix(start == std::string_view::npos ? rest_.size() : start);
    }

    static std::size_t count_digits(std::string_view text) noexcept {
        std::size_t count = 0;
        while (count < text.size() && is_digit(text[count])) ++count;
        return count;
    }

    // from_chars takes more than JSON allows: "inf", ".5", "5.", "007".
    static bool is_json_number(std::string_view text) noexcept {
        if (text.starts_with('-')) text.remove_prefix(1);
        const auto whole = count_digits(text);
        if (whole == 0 || (whole > 1 && text[0] == '0')) return false;
        text.remove_prefix(whole);
        if (text.starts_with('.')) {
            const auto fraction = count_digits(text.substr(1));
            if (fraction == 0) return false;
            text.remove_prefix(1 + fraction);
        }
        if (text.starts_with('e') || text.starts_with('E')) {
            text.remove_prefix(1);
            if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
            const auto exponent = count_digits(text);
            if (exponent == 0) return false;
            text.remove_prefix(exponent);
        }
        return text.empty();
    }

    std::string_view rest_;
};

}  // namespace

std::string to_text(const Statistics& statistics) {
    SummaryWriter writer;
    writer.member(kVersion, kSummaryVersion);
    writer.member(kCount, statistics.count);
    writer.member(kMean, statistics.mean);
    writer.member_m2(statistics.m2);
    writer.member(kMin, statistics.min);
    writer.member(kMax, statistics.max);
    writer.member(kFirstValue, statistics.first_value);
    writer.member(kLastValue, statistics.last_value);
    writer.member(kFirstAt, statistics.first_at);
    writer.member(kLastAt, statistics.last_at);
    return writer.finish();
}

std::optional<Statistics> parse_summary(std::string_view text) noexcept {
    SummaryReader reader(text);
    Statistics statistics;
    int version = 0;
    std::array<bool, kNames.size()> seen{};
    const auto take_value = [&](SummaryMember member) noexcept {
        switch (member) {
            case kVersion:
                return reader.take_number(version);
            case kCount:
                return reader.take_number(statistics.count);
            case kMean:
                return reader.take_number(statistics.mean);
            case kM2:
                if (!reader.take(kInfinity)) return reader.take_number(statistics.m2);
                statistics.m2 = std::numeric_limits<double>::infinity();
                return true;
            case kMin:
                return reader.take_number(statistics.min);
            case kMax:
                return reader.take_number(statistics.max);
            case kFirstValue:
                return reader.take_number(statistics.first_value);
            case kLastValue:
                return reader.take_number(statistics.last_value);
            case kFirstAt:
                return reader.take_number(statistics.first_at);
            case kLastAt:
                return reader.take_number(statistics.last_at);
        }
        return false;
    };

    // The text has as many members as there are names, and none twice. So none is missing.
    for (std::size_t i = 0; i < kNames.size(); ++i) {
        if (!reader.take(i == 0 ? "{" : ",")) return std::nullopt;
        const auto member = reader.take_name();
        if (!member || seen[*member]) return std::nullopt;
        seen[*member] = true;
        if (!reader.take(":") || !take_value(*member)) return std::nullopt;
    }
    if (!reader.take("}") || !reader.at_end()) return std::nullopt;
    if (version != kSummaryVersion || !is_consistent(statistics)) return std::nullopt;
    return statistics;
}

}  // namespace summary
