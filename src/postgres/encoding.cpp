// Converts texts by the server's own conversions. A character that cannot be converted raises no error.
#include "postgres/encoding.hpp"

#include <algorithm>

#include "postgres/error.hpp"

#include "postgres/pg.hpp"

namespace postgres {
namespace {

struct Converted {
    char* bytes;
    int size;
};

constexpr std::string_view kReplacementCharacter = "\xef\xbf\xbd";

// Every encoding of a database has these characters as they are.
bool is_ascii(std::string_view text) noexcept {
    return std::ranges::all_of(text, [](char each) { return static_cast<unsigned char>(each) < 0x80; });
}

// P. The server's own conversion, whatever the caller's search_path is; InvalidOid: there is none, as for MULE_INTERNAL.
Oid conversion_of(int from, int to) {
    return FindDefaultConversion(PG_CATALOG_NAMESPACE, from, to);
}

// P. `replacement` has at most three bytes.
Converted convert(const char* text, int size, std::string_view replacement) {
    const int encoding = GetDatabaseEncoding();
    const Oid conversion = conversion_of(encoding, PG_UTF8);
    const int room = (size + 1) * MAX_CONVERSION_GROWTH + 1;
    Converted result{static_cast<char*>(palloc(room)), 0};
    auto* source = reinterpret_cast<unsigned char*>(const_cast<char*>(text));
    while (size > 0) {
        int taken = 0;
        if (OidIsValid(conversion)) {
            char* target = result.bytes + result.size;
            taken = pg_do_encoding_conversion_buf(conversion, encoding, PG_UTF8, source, size,
                                                  reinterpret_cast<unsigned char*>(target), room - result.size, true);
            result.size += static_cast<int>(strlen(target));
        }
        if (taken < size) {
            const auto* character = reinterpret_cast<char*>(source) + taken;
            for (const char each : is_ascii({character, 1}) ? std::string_view(character, 1) : replacement)
                result.bytes[result.size++] = each;
            taken = Min(size, taken + pg_encoding_mblen(encoding, character));
        }
        source += taken;
        size -= taken;
    }
    return result;
}

std::string utf8_with(std::string_view replacement, std::string_view text) {
    if (is_ascii(text)) return std::string(text);
    const Converted converted =
        guarded([text, replacement] { return convert(text.data(), static_cast<int>(text.size()), replacement); });
    std::string result(converted.bytes, static_cast<std::size_t>(converted.size));
    pfree(converted.bytes);
    return result;
}

std::string utf8_of(std::string_view text) {
    return utf8_with("?", text);
}

}  // namespace

auto utf8_conversion() noexcept -> std::string (*)(std::string_view) {
    const int encoding = GetDatabaseEncoding();
    return encoding == PG_UTF8 || encoding == PG_SQL_ASCII ? nullptr : utf8_of;
}

std::optional<std::string> marked_utf8(std::string_view text) {
    if (utf8_conversion() == nullptr) return std::nullopt;
    return utf8_with(kReplacementCharacter, text);
}

std::string strict_utf8(std::string_view text) {
    if (auto converted = marked_utf8(text)) return *std::move(converted);
    std::string result;
    if (GetDatabaseEncoding() == PG_UTF8) return result.assign(text);
    while (!text.empty()) {
        const int valid = pg_encoding_verifymbstr(PG_UTF8, text.data(), static_cast<int>(text.size()));
        result.append(text.substr(0, static_cast<std::size_t>(valid)));
        text.remove_prefix(static_cast<std::size_t>(valid));
        if (text.empty()) break;
        result += kReplacementCharacter;
        text.remove_prefix(1);
    }
    return result;
}

std::optional<std::string> from_utf8(std::string_view text) {
    const int encoding = GetDatabaseEncoding();
    if (encoding == PG_UTF8 || encoding == PG_SQL_ASCII || is_ascii(text)) return std::string(text);
    const Converted converted = guarded([text, encoding] {
        const int size = static_cast<int>(text.size());
        const int room = (size + 1) * MAX_CONVERSION_GROWTH + 1;
        Converted result{static_cast<char*>(palloc(room)), 0};
        const Oid conversion = conversion_of(PG_UTF8, encoding);
        if (!OidIsValid(conversion)) return result;
        auto* source = reinterpret_cast<unsigned char*>(const_cast<char*>(text.data()));
        const int taken = pg_do_encoding_conversion_buf(conversion, PG_UTF8, encoding, source, size,
                                                        reinterpret_cast<unsigned char*>(result.bytes), room, true);
        if (taken == size) result.size = static_cast<int>(strlen(result.bytes));
        return result;
    });
    std::string result(converted.bytes, static_cast<std::size_t>(converted.size));
    pfree(converted.bytes);
    if (result.empty()) return std::nullopt;
    return result;
}

std::string from_utf8_lossily(std::string_view text) {
    if (auto whole = from_utf8(text)) return *std::move(whole);
    std::string result;
    while (!text.empty()) {
        const auto size = std::min(text.size(), static_cast<std::size_t>(pg_encoding_mblen(PG_UTF8, text.data())));
        result += from_utf8(text.substr(0, size)).value_or("?");
        text.remove_prefix(size);
    }
    return result;
}

std::string presentable(std::string text) {
    const int encoding = GetDatabaseEncoding();
    const bool is_valid = encoding == PG_UTF8 || guarded([encoding, bytes = text.data(), size = text.size()] {
                              return pg_verify_mbstr(encoding, bytes, static_cast<int>(size), true);
                          });
    if (!is_valid)
        for (char& each : text)
            if (static_cast<unsigned char>(each) >= 0x80) each = '?';
    return text;
}

}  // namespace postgres
