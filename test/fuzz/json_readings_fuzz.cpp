// Any bytes, read as a JSON text, give items or words. Boost.JSON's own parser accepts each item that becomes a reading, and
// the whole text is JSON where each of its items is.
#include <cmath>
#include <string>
#include <utility>

#include "model/boost_json.hpp"

#include <boost/json/parse.hpp>

#include "model/iso_time.hpp"
#include "model/json_readings.hpp"

#include "fuzz.hpp"

namespace {

using model::JsonItem;
using model::JsonReadings;
using model::TimeUnit;

constexpr std::size_t kMaxItems = 50;

boost::json::value parsed(std::string_view text, boost::json::error_code& error) {
    boost::json::parse_options options;
    options.max_depth = 100;
    return boost::json::parse(boost::json::string_view(text.data(), text.size()), error, {}, options);
}

void expect_words(const model::RefusalText& refusal) {
    fuzz::expect(refusal.sqlstate != 0 && !refusal.message.empty() && !refusal.detail.empty() && !refusal.hint.empty());
    fuzz::expect(refusal.detail.size() < 1500);
    for (const std::string& words : {refusal.message, refusal.detail, refusal.hint})
        for (const char c : words) fuzz::expect(static_cast<unsigned char>(c) >= 0x20);
}

void expect_text(std::string_view text) {
    fuzz::expect(text.find('\0') == text.npos);
    boost::json::error_code error;
    std::string quoted = "\"";
    for (const char c : text) {
        if (static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\') continue;
        quoted += c;
    }
    (void)parsed(quoted + "\"", error);
    fuzz::expect(!error);  // it is UTF-8
}

void expect_reading(const JsonItem& item) {
    boost::json::error_code error;
    const auto value = parsed(item.text, error);
    fuzz::expect(!error && value.is_object());
    const auto& object = value.get_object();
    const auto& reading = item.reading;
    const auto* device_id = object.if_contains("device_id");
    fuzz::expect(device_id != nullptr && device_id->is_string() &&
                 std::string_view(device_id->get_string()) == reading.device_id);
    for (const auto& [number, name] : {std::pair{reading.temperature, "temperature"}, {reading.humidity, "humidity"}}) {
        const auto* member = object.if_contains(name);
        fuzz::expect(number.has_value() == (member != nullptr && member->is_number()));
        if (!number) continue;
        const double boosts = member->to_number<double>();
        // Boost's doubles are a little off, and 0 with a large exponent is NaN.
        const double near = std::abs(*number) * 1e-14 + 1e-307;
        const bool is_near = std::isnan(boosts)   ? *number == 0
                             : std::isinf(boosts) ? std::abs(*number) > 1e308
                                                  : std::abs(*number - boosts) <= near;
        fuzz::expect(std::isfinite(*number) && is_near);
    }
    if (reading.region) expect_text(*reading.region);
    const auto* metrics = object.if_contains("metrics");
    std::size_t numbers = 0;
    if (metrics != nullptr && metrics->is_object())
        for (const auto& member : metrics->get_object()) numbers += member.value().is_number() ? 1 : 0;
    fuzz::expect(reading.metrics.size() == numbers);
    for (std::size_t i = 0; i < reading.metrics.size(); ++i) {
        const auto& name = reading.metrics[i].name;
        expect_text(name);
        fuzz::expect(std::isfinite(reading.metrics[i].value));
        if (i == 0) continue;
        const auto& previous = reading.metrics[i - 1].name;
        fuzz::expect(previous.size() < name.size() || (previous.size() == name.size() && previous < name));
    }
}

}  // namespace

// The first byte chooses the unit of times.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const auto unit = static_cast<TimeUnit>(data[0] % 5);
    const auto text = fuzz::as_text(data + 1, size - 1);
    (void)model::read_iso_time(text);
    const JsonReadings readings(text, unit, kMaxItems);
    boost::json::error_code error;
    const auto whole = parsed(text, error);
    if (readings.refusal()) {
        expect_words(*readings.refusal());
        fuzz::expect(readings.items().empty());
        const bool has_items = !error && (whole.is_object() || (whole.is_array() && whole.get_array().size() <= kMaxItems));
        fuzz::expect(!has_items);
        return 0;
    }
    const char* end = text.data();
    bool all_are_readings = true;
    for (const JsonItem& item : readings.items()) {
        fuzz::expect(!item.text.empty() && item.text.data() >= end);
        end = item.text.data() + item.text.size();
        expect_text(item.reading.device_id);
        if (item.reading.idempotency_key) expect_text(*item.reading.idempotency_key);
        all_are_readings &= item.refusal == nullptr;
        if (item.refusal != nullptr)
            expect_words(*item.refusal);
        else
            expect_reading(item);
    }
    fuzz::expect(end <= text.data() + text.size());
    fuzz::expect(!all_are_readings || !error);
    if (!error && whole.is_array()) fuzz::expect(whole.get_array().size() == readings.items().size());
    return 0;
}
