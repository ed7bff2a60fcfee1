// Handles the events of Boost.JSON's parser. It takes numbers as texts, because Boost's doubles are not the nearest ones, and
// become infinities without an error.
#include "model/json_item.hpp"

#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <utility>

#include "model/boost_json.hpp"
#include "model/iso_time.hpp"
#include "model/json_metrics.hpp"
#include "model/json_number.hpp"
#include "model/json_scan.hpp"
#include "model/policy.hpp"

namespace model {
namespace {

using boost::json::error_code;

// An item with more levels always has an earlier flaw, so that these only bound the parser's recursion.
constexpr std::size_t kMaxDepth = 32;

// The length tells all names apart but two.
ItemField field_named(std::string_view name) noexcept {
    const auto if_named = [name](ItemField field) {
        return name == kItemFieldNames[static_cast<std::size_t>(field)] ? field : ItemField::kUnknown;
    };
    switch (name.size()) {
        case 6:
            return if_named(ItemField::kRegion);
        case 7:
            return if_named(ItemField::kMetrics);
        case 8:
            return if_named(ItemField::kHumidity);
        case 9:
            return if_named(ItemField::kDeviceId);
        case 11:
            return if_named(name.front() == 't' ? ItemField::kTemperature : ItemField::kMeasuredAt);
        case 15:
            return if_named(ItemField::kIdempotencyKey);
        default:
            return ItemField::kUnknown;
    }
}

class ItemHandler {
public:
    static constexpr std::size_t max_object_size = static_cast<std::size_t>(-1);  // NOLINT: Boost's names
    static constexpr std::size_t max_array_size = static_cast<std::size_t>(-1);   // NOLINT
    static constexpr std::size_t max_key_size = static_cast<std::size_t>(-1);     // NOLINT
    static constexpr std::size_t max_string_size = static_cast<std::size_t>(-1);  // NOLINT

    ItemHandler(TimeUnit time_unit, std::pmr::memory_resource& memory) : time_unit_(time_unit), memory_(memory) {}

    void begin(std::string_view text) {
        text_ = text;
        if (flaw_.kind != ItemFlawKind::kNone) flaw_ = {};
        reading_ = {};
        field_ = ItemField::kUnknown;
        fields_seen_ = 0;
        depth_ = skipped_depth_ = 0;
        awaits_name_ = false;
        parts_.clear();
        metrics_.clear();
    }

    void end() {
        finish_metrics();
        if (reading_.device_id.data() == nullptr) note(ItemFlawKind::kMissingDevice, ItemField::kDeviceId);
        if (flaw_.kind != ItemFlawKind::kNone) keep_names_only();
    }

    // The parser has stopped at the position.
    void end_with(error_code error, std::size_t position) {
        if (flaw_.kind == ItemFlawKind::kNone) {
            // Only some halves of surrogate pairs have an error of their own.
            const auto before = text_.substr(0, position);
            if (error == boost::json::error::illegal_leading_surrogate ||
                error == boost::json::error::illegal_trailing_surrogate || ends_with_first_surrogate(before) ||
                (before.ends_with('\\') && ends_with_first_surrogate(before.substr(0, position - 1))))
                note_lone_surrogate();
            else if (error == boost::json::error::exponent_overflow)
                number(number_around(position));
            else
                note_not_finite_literal(before);
        }
        note(ItemFlawKind::kNotJson, field_);
        if (flaw_.kind == ItemFlawKind::kNotJson) flaw_.position = position;
        keep_names_only();
    }

    const ItemFlaw& flaw() const noexcept { return flaw_; }
    const Reading& reading() const noexcept { return reading_; }

    // ---- what the parser calls: true, go on ----

    bool on_document_begin(error_code&) { return true; }
    bool on_document_end(error_code&) { return true; }

    bool on_object_begin(error_code&) {
        if (skipped_depth_ == 0 && (depth_ == 0 || (depth_ == 1 && field_ == ItemField::kMetrics))) {
            ++depth_;
            awaits_name_ = true;
        } else {
            skip_nested("an object");
        }
        return true;
    }
    bool on_object_end(std::size_t, error_code&) {
        if (skipped_depth_ > 0)
            --skipped_depth_;
        else
            --depth_;
        awaits_name_ = true;
        return true;
    }
    bool on_array_begin(error_code&) {
        skip_nested("an array");
        return true;
    }
    bool on_array_end(std::size_t, error_code&) {
        --skipped_depth_;
        awaits_name_ = true;
        return true;
    }

    bool on_key_part(boost::json::string_view part, std::size_t, error_code&) { return add_part(part); }
    bool on_key(boost::json::string_view last, std::size_t, error_code&) {
        if (skipped_depth_ > 0) return true;
        if (depth_ == 1)
            begin_field(whole(last));
        else
            begin_metric(last);
        parts_.clear();
        awaits_name_ = false;
        return true;
    }

    bool on_string_part(boost::json::string_view part, std::size_t, error_code&) { return add_part(part); }
    bool on_string(boost::json::string_view last, std::size_t, error_code&) {
        if (skipped_depth_ > 0) return true;
        string(last);
        parts_.clear();
        awaits_name_ = true;
        return true;
    }

    bool on_number_part(boost::json::string_view part, error_code&) { return add_part(part); }
    bool on_int64(std::int64_t, boost::json::string_view last, error_code&) { return end_number(last); }
    bool on_uint64(std::uint64_t, boost::json::string_view last, error_code&) { return end_number(last); }
    bool on_double(double, boost::json::string_view last, error_code&) { return end_number(last); }

    bool on_bool(bool value, error_code&) {
        if (skipped_depth_ > 0) return true;
        note_wrong_type(value ? "true" : "false");
        awaits_name_ = true;
        return true;
    }
    bool on_null(error_code&) {
        if (skipped_depth_ > 0) return true;
        if (depth_ == 2) metrics_.add_null(metric_name_);
        awaits_name_ = true;
        return true;
    }

    bool on_comment_part(boost::json::string_view, error_code&) { return true; }
    bool on_comment(boost::json::string_view, error_code&) { return true; }

private:
    // ---- texts ----

    bool add_part(std::string_view part) {
        if (skipped_depth_ == 0) parts_ += part;
        return true;
    }

    // The view lasts until the parser goes on.
    std::string_view whole(std::string_view last) { return parts_.empty() ? last : std::string_view(parts_ += last); }

    // The view lasts. A text without escapes is a part of the input, and any other one is copied.
    std::string_view lasting(std::string_view last) {
        const std::string_view text = whole(last);
        const auto is_before_pointer = std::less<>();
        if (!is_before_pointer(text.data(), text_.data()) && is_before_pointer(text.data(), text_.data() + text_.size()))
            return text;
        auto* copy = static_cast<char*>(memory_.allocate(text.size() + 1, 1));
        std::memcpy(copy, text.data(), text.size());
        return {copy, text.size()};
    }

    static bool has_nul(std::string_view text) noexcept { return text.find('\0') != text.npos; }

    // ---- flaws ----

    // Only the first flaw of an item counts. True: this is it.
    bool note(ItemFlawKind kind, ItemField field, std::string_view name = {}, std::string sent = {}) {
        if (flaw_.kind != ItemFlawKind::kNone) return false;
        flaw_.kind = kind;
        flaw_.field = field;
        flaw_.name = name;
        flaw_.sent = std::move(sent);
        return true;
    }

    void note_wrong_type(std::string sent) {
        if (depth_ == 2)
            note(ItemFlawKind::kMetricNotANumber, ItemField::kMetrics, metric_name_, std::move(sent));
        else if (field_ == ItemField::kMeasuredAt)
            note(ItemFlawKind::kTimeUnreadable, field_, {}, std::move(sent));
        else if (field_ != ItemField::kUnknown)
            note(ItemFlawKind::kWrongType, field_, {}, std::move(sent));
    }

    void skip_nested(const char* words) {
        if (skipped_depth_++ == 0) note_wrong_type(words);
    }

    static std::string number_words(std::string_view digits) {
        constexpr std::size_t kMaxShown = 60;
        return "the number " + std::string(digits.substr(0, kMaxShown)) + (digits.size() > kMaxShown ? "..." : "");
    }

    void note_lone_surrogate() {
        if (awaits_name_)
            note(depth_ == 2 ? ItemFlawKind::kLoneSurrogate : ItemFlawKind::kNotJson,
                 depth_ == 2 ? ItemField::kMetrics : ItemField::kUnknown);
        else if (field_ == ItemField::kDeviceId || field_ == ItemField::kIdempotencyKey || field_ == ItemField::kRegion)
            note(ItemFlawKind::kLoneSurrogate, field_);
        else
            note_wrong_type("a text with one half of a surrogate pair");
    }

    // Some programs write NaN, Infinity and -Infinity into JSON.
    void note_not_finite_literal(std::string_view before) {
        const bool is_number = depth_ == 2 || field_ == ItemField::kTemperature || field_ == ItemField::kHumidity;
        if (awaits_name_ || !is_number) return;
        const std::string_view rest = text_.substr(before.size() - (before.ends_with('-') ? 1 : 0));
        for (const std::string_view literal : {"NaN", "Infinity", "-Infinity"})
            if (rest.starts_with(literal))
                note(ItemFlawKind::kNotFinite, field_, depth_ == 2 ? metric_name_ : std::string_view{}, std::string(literal));
    }

    // The exponent was too large for the parser.
    std::string_view number_around(std::size_t position) const noexcept {
        constexpr std::string_view kCharacters = "+-.0123456789Ee";
        const auto before = text_.substr(0, position).find_last_not_of(kCharacters);
        const auto begin = before == text_.npos ? 0 : before + 1;
        return text_.substr(begin, text_.find_first_not_of(kCharacters, begin) - begin);
    }

    void keep_names_only() {
        reading_ = {.device_id = reading_.device_id,
                    .measured_at = {},
                    .temperature = {},
                    .humidity = {},
                    .idempotency_key = reading_.idempotency_key,
                    .metrics = {},
                    .region = {}};
    }

    // ---- fields ----

    void begin_field(std::string_view name) {
        field_ = field_named(name);
        if (field_ == ItemField::kUnknown) {
            note(ItemFlawKind::kUnknownField, field_, name);
            return;
        }
        const unsigned bit = 1u << static_cast<unsigned>(field_);
        if ((fields_seen_ & bit) != 0) {
            note(ItemFlawKind::kRepeatedField, field_);
            field_ = ItemField::kUnknown;
        }
        fields_seen_ |= bit;
    }

    void string(std::string_view last) {
        if (depth_ == 1) {
            switch (field_) {
                case ItemField::kDeviceId:
                    if (const auto text = lasting(last); is_storable(text)) reading_.device_id = text;
                    return;
                case ItemField::kIdempotencyKey:
                    if (const auto text = lasting(last); is_storable(text)) reading_.idempotency_key = text;
                    return;
                case ItemField::kRegion:
                    if (const auto text = lasting(last); is_storable(text)) reading_.region = text;
                    return;
                case ItemField::kMeasuredAt:
                    time(whole(last));
                    return;
                default:
                    break;
            }
        }
        if (flaw_.kind == ItemFlawKind::kNone) note_wrong_type("the text " + quoted_for_message(whole(last)));
    }

    bool is_storable(std::string_view text) {
        if (!has_nul(text)) return true;
        note(ItemFlawKind::kNulCharacter, field_);
        return false;
    }

    void time(std::string_view text) {
        const auto [flaw, at] = read_iso_time(text);
        switch (flaw) {
            case TimeFlaw::kNone:
                reading_.measured_at = at;
                return;
            case TimeFlaw::kUnreadable:
                return note_time(ItemFlawKind::kTimeUnreadable, text);
            case TimeFlaw::kNoZone:
                return note_time(ItemFlawKind::kTimeWithoutZone, text);
            case TimeFlaw::kOutOfRange:
                return note_time(ItemFlawKind::kTimeOutOfRange, text);
        }
    }
    void note_time(ItemFlawKind kind, std::string_view text) { note(kind, field_, {}, "the text " + quoted_for_message(text)); }

    bool end_number(std::string_view last) {
        if (skipped_depth_ > 0) return true;
        number(whole(last));
        parts_.clear();
        awaits_name_ = true;
        return true;
    }

    void number(std::string_view digits) {
        if (depth_ == 2) {
            if (const auto value = double_of(digits)) metrics_.add(metric_name_, *value + 0.0);  // jsonb knows no -0
            return;
        }
        switch (field_) {
            case ItemField::kTemperature:
                reading_.temperature = double_of(digits);
                break;
            case ItemField::kHumidity:
                reading_.humidity = double_of(digits);
                break;
            case ItemField::kMeasuredAt:
                epoch_time(digits);
                break;
            case ItemField::kDeviceId:
            case ItemField::kIdempotencyKey:
            case ItemField::kRegion:
                note(ItemFlawKind::kNumberForText, field_, {}, number_words(digits));
                break;
            case ItemField::kMetrics:
                note_wrong_type(number_words(digits));
                break;
            case ItemField::kUnknown:
                break;
        }
    }

    std::optional<double> double_of(std::string_view digits) {
        const auto [flaw, value] = read_number(digits);
        if (flaw == NumberFlaw::kNone) return value;
        const bool is_too_large = flaw == NumberFlaw::kTooLarge;
        note(is_too_large ? ItemFlawKind::kNotFinite : ItemFlawKind::kTooNearZero, field_,
             depth_ == 2 ? metric_name_ : std::string_view{},
             number_words(digits) + (is_too_large ? ", too large" : ", too near to zero") + " for double precision");
        return std::nullopt;
    }

    void epoch_time(std::string_view digits) {
        if (time_unit_ == TimeUnit::kNone) {
            note(ItemFlawKind::kTimeWithoutUnit, field_, {}, number_words(digits));
            return;
        }
        reading_.measured_at = read_epoch_time(digits, time_unit_);
        if (!reading_.measured_at) note(ItemFlawKind::kTimeOutOfRange, field_, {}, number_words(digits));
    }

    // ---- metrics ----

    void begin_metric(std::string_view last) {
        metric_name_ = metrics_.begin() ? lasting(last) : std::string_view{};
        if (has_nul(metric_name_)) note(ItemFlawKind::kNulCharacter, ItemField::kMetrics);
    }

    void finish_metrics() {
        if (metrics_.member_count() > kMostMetrics) {
            if (note(ItemFlawKind::kTooManyMetrics, ItemField::kMetrics)) flaw_.count = metrics_.member_count();
            return;
        }
        if (flaw_.kind != ItemFlawKind::kNone) return;
        if (const auto repeated = metrics_.sort())
            note(ItemFlawKind::kRepeatedMetric, ItemField::kMetrics, *repeated);
        else
            reading_.metrics = metrics_.copy_to(memory_);
    }

    const TimeUnit time_unit_;
    std::pmr::memory_resource& memory_;

    std::string_view text_;
    ItemFlaw flaw_;
    Reading reading_{};
    ItemField field_ = ItemField::kUnknown;  // whose value is read; kUnknown: its value does not matter
    unsigned fields_seen_ = 0;               // bits
    std::size_t depth_ = 0;                  // 1: in the reading; 2: in its metrics
    std::size_t skipped_depth_ = 0;          // levels of a value that does not matter
    bool awaits_name_ = false;               // of a field or a metric
    std::string parts_;                      // of the text or number that the parser reads
    std::string_view metric_name_;
    JsonMetrics metrics_;
};

}  // namespace

struct JsonItemReader::Parser {
    static boost::json::parse_options options() {
        boost::json::parse_options options;
        options.max_depth = kMaxDepth;
        return options;
    }

    Parser(TimeUnit time_unit, std::pmr::memory_resource& memory) : json(options(), time_unit, memory) {}

    boost::json::basic_parser<ItemHandler> json;
};

JsonItemReader::JsonItemReader(TimeUnit time_unit, std::pmr::memory_resource& memory)
    : parser_(std::make_unique<Parser>(time_unit, memory)) {}

JsonItemReader::~JsonItemReader() = default;

std::size_t JsonItemReader::read(std::string_view text) {
    auto& json = parser_->json;
    json.reset();
    json.handler().begin(text);
    error_code error;
    const std::size_t size = json.write_some(false, text.data(), text.size(), error);
    if (error) {
        json.handler().end_with(error, size);
        return kNotFound;
    }
    json.handler().end();
    return size;
}

const ItemFlaw& JsonItemReader::flaw() const noexcept {
    return parser_->json.handler().flaw();
}

const Reading& JsonItemReader::reading() const noexcept {
    return parser_->json.handler().reading();
}

}  // namespace model
