// Takes a token apart at its colons.
#include "model/receipt_token.hpp"

#include <algorithm>
#include <charconv>

namespace model {
namespace {

constexpr std::uint64_t kFirstNormalXid = 3;
constexpr std::size_t kKeySize = 16;

// The number, if the text is a number and nothing else.
template <typename Number>
std::optional<Number> number_in(std::string_view digits) noexcept {
    Number number{};
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
    return number;
}

// Takes the text up to the separator, or all of it, off the front.
std::string_view take_part(std::string_view& text, char separator) noexcept {
    const std::size_t end = std::min(text.find(separator), text.size());
    const std::string_view part = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return part;
}

bool is_key(std::string_view text) noexcept {
    return text.size() == kKeySize && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace

std::optional<ReceiptToken> parse_receipt_token(std::string_view text) noexcept {
    const bool has_rest = std::ranges::count(text, ':') > 1;
    const auto epoch = number_in<std::int32_t>(take_part(text, ':'));
    const auto xid = number_in<std::uint64_t>(take_part(text, ':'));
    if (!epoch || *epoch <= 0 || !xid || *xid < kFirstNormalXid) return std::nullopt;
    ReceiptToken token{.epoch = Epoch{*epoch}, .xid = Xid{*xid}, .account_key = {}};
    if (!has_rest) return token;
    if (is_key(text)) {
        token.form = ReceiptToken::Form::kAccount;
        token.account_key = text;
        return token;
    }
    const auto first = number_in<std::int64_t>(take_part(text, '-'));
    const auto last = number_in<std::int64_t>(text);
    if (!first || !last || *first < 0 || *last < *first || (*first == 0) != (*last == 0)) return std::nullopt;
    token.form = ReceiptToken::Form::kEvents;
    token.first_event_id = *first;
    token.last_event_id = *last;
    return token;
}

}  // namespace model
