// Writes the text form of a snapshot, and reads it strictly.
#include "model/snapshot_text.hpp"

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <system_error>

namespace model {

namespace {

void append_number(std::string& text, std::uint64_t number) {
    char digits[20];
    text.append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
}

// Takes a number off the front of `text`.
std::optional<Xid> take_number(std::string_view& text) noexcept {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc()) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return Xid{number};
}

bool take(std::string_view& text, char expected) noexcept {
    if (text.empty() || text.front() != expected) return false;
    text.remove_prefix(1);
    return true;
}

}  // namespace

std::string to_text(const Snapshot& snapshot) {
    std::string text;
    append_number(text, snapshot.xmin.value);
    text += ':';
    append_number(text, snapshot.xmax.value);
    text += ':';
    for (const Xid xid : snapshot.in_progress) {
        if (text.back() != ':') text += ',';
        append_number(text, xid.value);
    }
    return text;
}

std::optional<Snapshot> parse_snapshot(std::string_view text) {
    const auto xmin = take_number(text);
    if (!xmin || !take(text, ':')) return std::nullopt;
    const auto xmax = take_number(text);
    if (!xmax || *xmax < *xmin || !take(text, ':')) return std::nullopt;
    Snapshot snapshot{*xmin, *xmax, {}};
    while (!text.empty()) {
        auto& listed = snapshot.in_progress;
        if (!listed.empty() && !take(text, ',')) return std::nullopt;
        const auto xid = take_number(text);
        if (!xid || *xid < *xmin || *xid >= *xmax || (!listed.empty() && *xid <= listed.back())) return std::nullopt;
        listed.push_back(*xid);
    }
    return snapshot;
}

}  // namespace model
