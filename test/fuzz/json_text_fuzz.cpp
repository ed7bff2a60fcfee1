// Any bytes become a JSON string in ASCII that Boost.JSON reads. It reads the text itself where Boost judges the text to be
// UTF-8. Any double becomes a number that reads back the same.
#include <bit>
#include <cmath>
#include <cstring>
#include <string>

#include <boost/json/src.hpp>

#include "model/json_text.hpp"

#include "fuzz.hpp"

namespace {

// Returns the text between quotes, where nothing in it needs an escape.
bool is_plain_utf8(std::string_view text) {
    for (const char c : text)
        if (static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\') return false;
    boost::json::error_code error;
    (void)boost::json::parse("\"" + std::string(text) + "\"", error);
    return !error;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto text = fuzz::as_text(data, size);
    std::string json;
    model::append_json_string(json, text);
    for (const char c : json) fuzz::expect(c >= 0x20 && static_cast<unsigned char>(c) < 0x80);
    boost::json::error_code error;
    const auto value = boost::json::parse(json, error);
    fuzz::expect(!error && value.is_string());
    if (is_plain_utf8(text)) fuzz::expect(std::string_view(value.get_string()) == text);

    double number = 0;
    if (size < sizeof number) return 0;
    std::memcpy(&number, data, sizeof number);
    if (!std::isfinite(number)) return 0;
    json.clear();
    model::append_json_number(json, number);
    (void)boost::json::parse(json, error);  // checks the syntax; Boost's numbers are not exact to the last bit
    fuzz::expect(!error && std::strtod(json.c_str(), nullptr) == number);
    return 0;
}
