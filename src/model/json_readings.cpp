// Goes from item to item. The parser itself says where an object ends; only where it fails, the brackets say so.
#include "model/json_readings.hpp"

#include <algorithm>
#include <string>

#include "error_codes.hpp"
#include "model/json_item.hpp"
#include "model/json_scan.hpp"

namespace model {
namespace {

constexpr auto kNowhere = std::string_view::npos;
constexpr const char* kBatchHint = "Send one JSON object, or an array of objects.";

// Such as: At byte 13 (line 2, column 5) follows "x", where a comma was expected.
RefusalText broken_at(std::string_view text, std::size_t at, const char* expected) {
    const auto before = text.substr(0, at), rest = text.substr(at);
    const auto line_begin = before.rfind('\n') + 1;  // of no line break: 0
    const auto is_first_byte = [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; };
    const auto column = std::ranges::count_if(before.substr(line_begin), is_first_byte) + 1;
    const std::string place = "byte " + std::to_string(at + 1) + " (line " +
                              std::to_string(std::ranges::count(before, '\n') + 1) + ", column " + std::to_string(column) + ")";
    return {
        .sqlstate = error_codes::kInvalidBatch,
        .message = "the text is not a JSON object or an array of them",
        .detail = (rest.empty() ? "The text ends before " + place : "At " + place + " follows " + quoted_for_message(rest)) +
                  ", where " + expected + " was expected.",
        .hint = kBatchHint};
}

}  // namespace

class JsonReadings::Reader {
public:
    Reader(JsonReadings& readings, std::string_view text, TimeUnit time_unit, std::size_t max_items)
        : readings_(readings), text_(text), max_items_(max_items), item_reader_(time_unit, readings.memory_) {}

    // Returns why the whole text is refused.
    std::optional<RefusalText> read() {
        constexpr std::size_t kUsualItemSize = 128;
        readings_.items_.reserve(std::min(max_items_, text_.size() / kUsualItemSize + 1));
        skip_space();
        std::optional<RefusalText> refusal;
        if (is_at('{'))
            refusal = read_item();
        else if (is_at('['))
            refusal = read_array();
        else
            return broken("an object or an array");
        if (refusal) return refusal;
        skip_space();
        if (at_ != text_.size()) return broken("the end of the text");
        if (count_ > max_items_) return too_large();
        return std::nullopt;
    }

private:
    void skip_space() noexcept { at_ = skip_json_space(text_, at_); }
    bool is_at(char c) const noexcept { return at_ < text_.size() && text_[at_] == c; }
    RefusalText broken(const char* expected) const { return broken_at(text_, at_, expected); }

    std::optional<RefusalText> read_array() {
        ++at_;
        skip_space();
        if (is_at(']')) {
            ++at_;
            return std::nullopt;
        }
        for (;;) {
            if (auto refusal = read_item()) return refusal;
            skip_space();
            if (is_at(']')) {
                ++at_;
                return std::nullopt;
            }
            if (!is_at(',')) return broken("a comma or the end of the array");
            ++at_;
            skip_space();
        }
    }

    std::optional<RefusalText> read_item() {
        if (++count_ > max_items_) {
            readings_.items_.clear();
            return skip_to(end_of_json_value(text_, at_));
        }
        if (!is_at('{')) {
            ItemFlaw flaw;
            flaw.kind = ItemFlawKind::kNotAnObject;
            const auto begin = at_;
            if (auto refusal = skip_to(end_of_json_value(text_, at_))) return refusal;
            add(text_.substr(begin, at_ - begin), Reading{}, flaw);
            return std::nullopt;
        }
        const auto begin = at_;
        const auto size = item_reader_.read(text_.substr(at_));
        if (size == JsonItemReader::kNotFound) {
            if (auto refusal = skip_to(end_of_json_value(text_, at_))) return refusal;
        } else {
            at_ += size;
            while (text_[at_ - 1] != '}') --at_;
        }
        add(text_.substr(begin, at_ - begin), item_reader_.reading(), item_reader_.flaw());
        return std::nullopt;
    }

    std::optional<RefusalText> skip_to(std::size_t end) {
        if (end == kNowhere) {
            const bool begins_item = at_ < text_.size() && std::string_view(",:]}").find(text_[at_]) == kNowhere;
            return broken(begins_item ? "an item with its end" : "an item");
        }
        at_ = end;
        return std::nullopt;
    }

    void add(std::string_view item, const Reading& reading, const ItemFlaw& flaw) {
        const RefusalText* refusal = nullptr;
        if (flaw.kind != ItemFlawKind::kNone)
            refusal = &readings_.refusals_.emplace_back(describe(flaw, item, reading.device_id));
        readings_.items_.push_back({item, reading, refusal});
    }

    RefusalText too_large() const {
        return {.sqlstate = error_codes::kBatchTooLarge,
                .message = "the call has too many readings",
                .detail = "The array has " + std::to_string(count_) + " items; telemetry_cqrs.max_batch_readings is " +
                          std::to_string(max_items_) + ".",
                .hint = "Send it in parts, or raise telemetry_cqrs.max_batch_readings."};
    }

    JsonReadings& readings_;
    const std::string_view text_;
    const std::size_t max_items_;
    JsonItemReader item_reader_;
    std::size_t at_ = 0;
    std::size_t count_ = 0;  // of items
};

JsonReadings::JsonReadings(std::string_view text, TimeUnit time_unit, std::size_t max_items) {
    refusal_ = Reader(*this, text, time_unit, max_items).read();
    if (!refusal_) return;
    items_.clear();
    refusals_.clear();
}

}  // namespace model
