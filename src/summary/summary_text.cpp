// Writes the text form of a summary, and reads it strictly.
#include "summary/summary_text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <system_error>
#include <utility>
#include <vector>

namespace summary {

namespace {

constexpr std::string_view kInfinity = "\"Infinity\"";
constexpr std::string_view kNames[] = {"version",     "count",      "mean",     "m2",      "min",     "max",
                                       "first_value", "last_value", "first_at", "last_at", "counter", "sketch"};
enum SummaryMember : std::size_t {
    kVersion,
    kCount,
    kMean,
    kM2,
    kMin,
    kMax,
    kFirstValue,
    kLastValue,
    kFirstAt,
    kLastAt,
    kCounter,
    kSketch
};
constexpr std::string_view kCounterNames[] = {"resets", "fallen_from", "overlaps"};
enum CounterMember : std::size_t { kResets, kFallenFrom, kOverlaps };
constexpr std::string_view kSketchNames[] = {"zero", "negative", "positive"};
enum SketchMember : std::size_t { kZero, kNegative, kPositive };

class SummaryWriter {
public:
    template <typename Number>
    void member(SummaryMember member, Number value) {
        text_ += text_.empty() ? '{' : ',';
        text_ += '"';
        text_ += kNames[member];
        text_ += "\":";
        number(value);
    }
    void member_m2(double value) {
        if (std::isfinite(value)) {
            member(kM2, value);
        } else {
            text_ += ",\"m2\":";
            text_ += kInfinity;
        }
    }
    void member_counter(const Counter& counter) {
        text_ += ",\"counter\":{\"resets\":";
        number(counter.resets);
        text_ += ",\"fallen_from\":";
        number(counter.fallen_from);
        text_ += ",\"overlaps\":";
        text_ += counter.overlaps ? "true}" : "false}";
    }
    void member_sketch(std::span<const Bin> bins) {
        const auto zero = std::lower_bound(bins.begin(), bins.end(), kZeroBin,
                                           [](const Bin& bin, BinNumber number) { return bin.number < number; });
        const bool has_zero = zero != bins.end() && zero->number == kZeroBin;
        const auto negative = static_cast<std::size_t>(zero - bins.begin());
        text_ += ",\"sketch\":{\"zero\":";
        number(has_zero ? zero->count : 0);
        text_ += ",\"negative\":[";
        for (std::size_t i = negative; i > 0; --i) pair(bins[i - 1], i == negative);
        text_ += "],\"positive\":[";
        const std::size_t positive = negative + (has_zero ? 1 : 0);
        for (std::size_t i = positive; i < bins.size(); ++i) pair(bins[i], i == positive);
        text_ += "]}";
    }
    std::string finish() {
        text_ += '}';
        return std::move(text_);
    }

private:
    template <typename Number>
    void number(Number value) {
        char digits[32];
        const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
        text_.append(digits, end);
    }
    void pair(const Bin& bin, bool is_first) {
        text_ += is_first ? "[" : ",[";
        number(exponent_of(bin.number));
        text_ += ',';
        number(bin.count);
        text_ += ']';
    }

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

    // Takes one of the names, and returns which.
    template <std::size_t kCount>
    std::optional<std::size_t> take_name(const std::string_view (&names)[kCount]) noexcept {
        if (!take("\"")) return std::nullopt;
        const auto length = rest_.find('"');
        if (length == std::string_view::npos) return std::nullopt;
        const auto name = rest_.substr(0, length);
        rest_.remove_prefix(length + 1);
        for (std::size_t i = 0; i < kCount; ++i)
            if (names[i] == name) return i;
        return std::nullopt;
    }

    // Takes an object that has some of the names, none twice. `take_value` takes the value of a name. Returns which names it
    // has, or nothing where the text is no such object.
    template <std::size_t kCount, typename TakeValue>
    std::optional<std::array<bool, kCount>> take_object(const std::string_view (&names)[kCount], TakeValue take_value) {
        std::array<bool, kCount> seen{};
        if (!take("{")) return std::nullopt;
        do {
            const auto member = take_name(names);
            if (!member || seen[*member]) return std::nullopt;
            seen[*member] = true;
            if (!take(":") || !take_value(*member)) return std::nullopt;
        } while (take(","));
        if (!take("}")) return std::nullopt;
        return seen;
    }

    template <typename Number>
    bool take_number(Number& value) noexcept {
        skip_white_space();
        const auto token = rest_.substr(0, rest_.find_first_of(" \t\n\r,]}"));
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

// Takes a list of exponents and counts. `bin_of_exponent` gives the bin of an exponent. Returns false for anything else, and
// for more bins than a sketch has.
bool take_bins(SummaryReader& reader, BinNumber (*bin_of_exponent)(std::int32_t) noexcept, std::vector<Bin>& bins) {
    if (!reader.take("[")) return false;
    if (reader.take("]")) return true;
    do {
        std::int64_t exponent, count;
        if (!reader.take("[") || !reader.take_number(exponent) || !is_exponent(exponent)) return false;
        if (!reader.take(",") || !reader.take_number(count) || !reader.take("]") || bins.size() >= kMaxBins) return false;
        bins.push_back({bin_of_exponent(static_cast<std::int32_t>(exponent)), count});
    } while (reader.take(","));
    return reader.take("]");
}

// Takes a sketch. Whether its bins ascend and have possible counts is not checked.
bool take_sketch(SummaryReader& reader, std::vector<Bin>& sketch) {
    std::int64_t zeros = 0;
    std::vector<Bin> positive;
    const auto seen = reader.take_object(kSketchNames, [&](std::size_t member) {
        if (member == kZero) return reader.take_number(zeros);
        return member == kNegative ? take_bins(reader, negative_bin, sketch) : take_bins(reader, positive_bin, positive);
    });
    if (seen != std::array{true, true, true}) return false;
    std::reverse(sketch.begin(), sketch.end());
    if (zeros != 0) sketch.push_back({kZeroBin, zeros});
    sketch.insert(sketch.end(), positive.begin(), positive.end());
    return true;
}

// Takes a counter. Whether it is consistent is not checked.
bool take_counter(SummaryReader& reader, Counter& counter) {
    const auto seen = reader.take_object(kCounterNames, [&](std::size_t member) {
        if (member == kResets) return reader.take_number(counter.resets);
        if (member == kFallenFrom) return reader.take_number(counter.fallen_from);
        counter.overlaps = reader.take("true");
        return counter.overlaps || reader.take("false");
    });
    return seen == std::array{true, true, true};
}

}  // namespace

std::string to_text(const Summary& summary) {
    const Statistics& statistics = summary.statistics;
    SummaryWriter writer;
    writer.member(kVersion, version_of(summary));
    writer.member(kCount, statistics.count);
    writer.member(kMean, statistics.mean);
    writer.member_m2(statistics.m2);
    writer.member(kMin, statistics.min);
    writer.member(kMax, statistics.max);
    writer.member(kFirstValue, statistics.first_value);
    writer.member(kLastValue, statistics.last_value);
    writer.member(kFirstAt, statistics.first_at);
    writer.member(kLastAt, statistics.last_at);
    if (summary.counter) writer.member_counter(*summary.counter);
    if (summary.sketch) writer.member_sketch(*summary.sketch);
    return writer.finish();
}

std::optional<Summary> parse_summary(std::string_view text) {
    SummaryReader reader(text);
    Summary summary;
    Statistics& statistics = summary.statistics;
    int version = 0;
    const auto take_value = [&](std::size_t member) {
        switch (static_cast<SummaryMember>(member)) {
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
            case kCounter:
                return take_counter(reader, summary.counter.emplace());
            case kSketch:
                return take_sketch(reader, summary.sketch.emplace());
        }
        return false;
    };

    const auto seen = reader.take_object(kNames, take_value);
    if (!seen || !reader.at_end()) return std::nullopt;
    const auto is_missing = [&seen](SummaryMember member) { return !(*seen)[member]; };
    for (const auto member : {kVersion, kCount, kMean, kM2, kMin, kMax, kFirstValue, kLastValue, kFirstAt, kLastAt})
        if (is_missing(member)) return std::nullopt;
    if (version != version_of(summary)) return std::nullopt;
    if (!is_consistent(summary)) return std::nullopt;
    return summary;
}

}  // namespace summary
