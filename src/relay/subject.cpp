// Makes tokens of types and names.
#include "relay/subject.hpp"

#include <algorithm>
#include <cstdint>

#include "model/sip_hash.hpp"

namespace relay {

namespace {

constexpr std::string_view kNone = "_";

void append_escape(std::string& subject, char c) {
    constexpr char kHexDigits[] = "0123456789ABCDEF";
    const auto byte = static_cast<unsigned char>(c);
    const char escape[] = {'%', kHexDigits[byte >> 4], kHexDigits[byte & 15]};
    subject.append(escape, sizeof escape);
}

bool is_kept(char c) noexcept {
    return c > ' ' && c < 0x7f && c != '.' && c != '*' && c != '>' && c != '%';
}

void append_escaped(std::string& subject, std::string_view text) {
    for (const char c : text) {
        if (is_kept(c))
            subject += c;
        else
            append_escape(subject, c);
    }
}

// The part of a long name and its hash take no more than kMaxWholeNameSize bytes of which each is escaped.
void append_long_name(std::string& subject, std::string_view name) {
    constexpr std::size_t kShownSize = 248;
    constexpr std::string_view kMark = "%~";
    constexpr int kHashSize = 16;
    static_assert(3 * kShownSize + kMark.size() + kHashSize <= 3 * kMaxWholeNameSize);
    append_escaped(subject, name.substr(0, kShownSize));
    subject += kMark;
    model::SipHash hash(model::Secret{});
    hash.update(name);
    const std::uint64_t number = hash.finish();
    for (int shift = 4 * (kHashSize - 1); shift >= 0; shift -= 4) subject += "0123456789abcdef"[(number >> shift) & 15];
}

void append_name(std::string& subject, std::string_view name) {
    if (name.empty()) {
        subject += kNone;
    } else if (name == kNone) {
        append_escape(subject, name.front());
    } else if (name.size() > kMaxWholeNameSize) {
        append_long_name(subject, name);
    } else if (std::ranges::all_of(name, is_kept)) {
        subject += name;
    } else {
        append_escaped(subject, name);
    }
}

void append_type(std::string& subject, std::string_view type) {
    if (type.starts_with(kSubjectPrefix) && type.find('.', kSubjectPrefix.size()) == std::string_view::npos)
        type.remove_prefix(kSubjectPrefix.size());
    const auto begin = static_cast<std::string::difference_type>(subject.size());
    subject += type;
    std::replace(subject.begin() + begin, subject.end(), '.', '-');
}

}  // namespace

void append_subject(std::string& subject, std::string_view type, std::string_view region, std::string_view device_id) {
    subject += kSubjectPrefix;
    append_type(subject, type);
    subject += '.';
    append_name(subject, region);
    subject += '.';
    append_name(subject, device_id);
}

}  // namespace relay
