// Compares field by field.
#include "model/differences.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "model/name_text.hpp"
#include "model/time_text.hpp"

namespace model {
namespace {

constexpr int kMostNamed = 10;
constexpr std::string_view kNotSent = "not sent";

std::string words_of(const std::optional<double>& value) {
    if (!value) return std::string(kNotSent);
    char digits[32];
    return {digits, std::to_chars(digits, digits + sizeof digits, *value).ptr};
}

std::string words_of_time(const std::optional<Micros>& at) {
    if (!at) return std::string(kNotSent);
    std::string words;
    append_time(words, *at);
    return words;
}

std::string words_of(const std::optional<std::string_view>& text) {
    return text ? quoted_for_message(*text) : std::string(kNotSent);
}

// Zero has two forms, which are two values for the digest.
bool is_same(const std::optional<double>& a, const std::optional<double>& b) noexcept {
    return a == b && (!a || std::signbit(*a) == std::signbit(*b));
}

class List {
public:
    void add(std::string_view field, std::string_view was, const std::string& now, std::string_view verb = " was ") {
        if (++count_ > kMostNamed) return;
        if (!words_.empty()) words_ += "; ";
        words_.append(field).append(verb).append(was).append(", now ").append(now);
    }

    void compare(std::string_view field, const std::optional<double>& was, const std::optional<double>& now) {
        if (!is_same(was, now)) add(field, words_of(was), words_of(now));
    }

    void compare(std::span<const Metric> was, std::span<const Metric> now) {
        const auto value_in = [](std::span<const Metric> metrics, std::string_view name) -> std::optional<double> {
            const auto found = std::ranges::find(metrics, name, &Metric::name);
            if (found == metrics.end()) return std::nullopt;
            return found->value;
        };
        for (const Metric& each : was) compare(name_of(each), each.value, value_in(now, each.name));
        for (const Metric& each : now)
            if (!value_in(was, each.name)) compare(name_of(each), std::nullopt, each.value);
    }

    std::string words() const {
        if (count_ <= kMostNamed) return words_;
        return words_ + "; and " + std::to_string(count_ - kMostNamed) + " more";
    }

    bool is_empty() const noexcept { return count_ == 0; }

private:
    static std::string name_of(const Metric& metric) { return "metric " + quoted_for_message(metric.name); }

    std::string words_;
    int count_ = 0;
};

// The stored value may be the sent one, or the one that the server filled in.
constexpr std::string_view kIsStoredAs = " is stored as ";

}  // namespace

std::string differences(const StoredReading& stored, const Reading& sent) {
    List list;
    const bool is_time_of_receipt = stored.measured_at == stored.received_at;
    if (sent.measured_at && *sent.measured_at != stored.measured_at)
        list.add("measured_at", (is_time_of_receipt ? "the time of receipt, " : "") + words_of_time(stored.measured_at),
                 words_of_time(sent.measured_at), kIsStoredAs);
    else if (!sent.measured_at && !is_time_of_receipt)
        list.add("measured_at", words_of_time(stored.measured_at), words_of_time({}), kIsStoredAs);
    list.compare("temperature", stored.temperature, sent.temperature);
    list.compare("humidity", stored.humidity, sent.humidity);
    list.compare(stored.metrics, sent.metrics);
    if (sent.region && !stored.region)
        list.add("region", kNotSent, words_of(sent.region));
    else if (sent.region && *sent.region != *stored.region)
        list.add("region", words_of(stored.region), words_of(sent.region), kIsStoredAs);
    // If the first request certainly sent measured_at, only the region is left to differ.
    if (list.is_empty() && sent.measured_at && !is_time_of_receipt && stored.region)
        list.add("region", sent.region ? std::string(kNotSent) : words_of(stored.region), words_of(sent.region));
    return list.words();
}

std::string differences(const Reading& first, const Reading& sent) {
    List list;
    if (first.measured_at != sent.measured_at)
        list.add("measured_at", words_of_time(first.measured_at), words_of_time(sent.measured_at));
    list.compare("temperature", first.temperature, sent.temperature);
    list.compare("humidity", first.humidity, sent.humidity);
    list.compare(first.metrics, sent.metrics);
    if (first.region != sent.region) list.add("region", words_of(first.region), words_of(sent.region));
    return list.words();
}

}  // namespace model
