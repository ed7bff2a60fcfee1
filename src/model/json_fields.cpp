// Numbers come as texts, because the parser's doubles are not the nearest ones, and become infinities without an error.
#include "model/json_fields.hpp"

#include <cstring>
#include <functional>
#include <utility>

#include "model/iso_time.hpp"
#include "model/json_number.hpp"
#include "model/json_scan.hpp"
#include "model/policy.hpp"

namespace model {
namespace {

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

bool has_nul(std::string_view text) noexcept {
    return text.find('\0') != text.npos;
}

std::string text_words(std::string_view text) {
    return "the text " + quoted_for_message(text);
}

std::string number_words(std::string_view digits) {
    constexpr std::size_t kMaxShown = 60;
    return "the number " + std::string(digits.substr(0, kMaxShown)) + (digits.size() > kMaxShown ? "..." : "");
}

// The number in which the position lies.
std::string_view number_around(std::string_view item, std::size_t position) noexcept {
    constexpr std::string_view kCharacters = "+-.0123456789Ee";
    const auto before = item.substr(0, position).find_last_not_of(kCharacters);
    const auto begin = before == item.npos ? 0 : before + 1;
    return item.substr(begin, item.find_first_not_of(kCharacters, begin) - begin);
}

}  // namespace

// ---- the parts of an item ----

void JsonFields::begin(std::string_view item) {
    item_ = item;
    if (flaw_.kind != ItemFlawKind::kNone) flaw_ = {};
    reading_ = {};
    field_ = ItemField::kUnknown;
    fields_seen_ = 0;
    depth_ = skipped_depth_ = 0;
    awaits_name_ = false;
    metrics_.clear();
}

void JsonFields::begin_object() {
    if (skipped_depth_ == 0 && (depth_ == 0 || (depth_ == 1 && field_ == ItemField::kMetrics))) {
        ++depth_;
        awaits_name_ = true;
    } else {
        skip_nested("an object");
    }
}

void JsonFields::end_object() noexcept {
    if (skipped_depth_ > 0)
        --skipped_depth_;
    else
        --depth_;
    awaits_name_ = true;
}

void JsonFields::begin_array() {
    skip_nested("an array");
}

void JsonFields::end_array() noexcept {
    --skipped_depth_;
    awaits_name_ = true;
}

void JsonFields::name(std::string_view text) {
    if (depth_ == 1)
        begin_field(text);
    else
        begin_metric(text);
    awaits_name_ = false;
}

void JsonFields::string(std::string_view text) {
    awaits_name_ = true;
    if (depth_ == 1) {
        switch (field_) {
            case ItemField::kDeviceId:
                if (const auto id = lasting(text); is_storable(id)) reading_.device_id = id;
                return;
            case ItemField::kIdempotencyKey:
                if (const auto key = lasting(text); is_storable(key)) reading_.idempotency_key = key;
                return;
            case ItemField::kRegion:
                if (const auto region = lasting(text); is_storable(region)) reading_.region = region;
                return;
            case ItemField::kMeasuredAt:
                time(text);
                return;
            default:
                break;
        }
    }
    if (flaw_.kind == ItemFlawKind::kNone) note_wrong_type(text_words(text));
}

void JsonFields::number(std::string_view digits) {
    take_number(digits);
    awaits_name_ = true;
}

void JsonFields::boolean(bool value) {
    note_wrong_type(value ? "true" : "false");
    awaits_name_ = true;
}

void JsonFields::null() {
    if (depth_ == 2) metrics_.add_null(metric_name_);
    awaits_name_ = true;
}

void JsonFields::end() {
    finish_metrics();
    if (reading_.device_id.data() == nullptr) note(ItemFlawKind::kMissingDevice, ItemField::kDeviceId);
    if (flaw_.kind != ItemFlawKind::kNone) keep_names_only();
}

void JsonFields::stop(Stop cause, std::size_t position) {
    if (flaw_.kind == ItemFlawKind::kNone) {
        // The parser knows only some halves of surrogate pairs.
        const auto before = item_.substr(0, position);
        if (cause == Stop::kSurrogate || ends_with_first_surrogate(before) ||
            (before.ends_with('\\') && ends_with_first_surrogate(before.substr(0, position - 1))))
            note_lone_surrogate();
        else if (cause == Stop::kExponent)
            take_number(number_around(item_, position));
        else
            note_not_finite_literal(before);
    }
    note(ItemFlawKind::kNotJson, field_);
    if (flaw_.kind == ItemFlawKind::kNotJson) flaw_.position = position;
    keep_names_only();
}

// The result lasts. A text without escapes is a part of the item, and any other one is copied.
std::string_view JsonFields::lasting(std::string_view text) {
    const auto is_before_pointer = std::less<>();
    if (!is_before_pointer(text.data(), item_.data()) && is_before_pointer(text.data(), item_.data() + item_.size()))
        return text;
    auto* copy = static_cast<char*>(memory_.allocate(text.size() + 1, 1));
    std::memcpy(copy, text.data(), text.size());
    return {copy, text.size()};
}

// ---- flaws ----

// Only the first flaw of an item counts. True: this is it.
bool JsonFields::note(ItemFlawKind kind, ItemField field, std::string_view name, std::string sent) {
    if (flaw_.kind != ItemFlawKind::kNone) return false;
    flaw_.kind = kind;
    flaw_.field = field;
    flaw_.name = name;
    flaw_.sent = std::move(sent);
    return true;
}

void JsonFields::note_wrong_type(std::string sent) {
    if (depth_ == 2)
        note(ItemFlawKind::kMetricNotANumber, ItemField::kMetrics, metric_name_, std::move(sent));
    else if (field_ == ItemField::kMeasuredAt)
        note(ItemFlawKind::kTimeUnreadable, field_, {}, std::move(sent));
    else if (field_ != ItemField::kUnknown)
        note(ItemFlawKind::kWrongType, field_, {}, std::move(sent));
}

void JsonFields::skip_nested(const char* words) {
    if (skipped_depth_++ == 0) note_wrong_type(words);
}

void JsonFields::note_lone_surrogate() {
    if (awaits_name_)
        note(depth_ == 2 ? ItemFlawKind::kLoneSurrogate : ItemFlawKind::kNotJson,
             depth_ == 2 ? ItemField::kMetrics : ItemField::kUnknown);
    else if (field_ == ItemField::kDeviceId || field_ == ItemField::kIdempotencyKey || field_ == ItemField::kRegion)
        note(ItemFlawKind::kLoneSurrogate, field_);
    else
        note_wrong_type("a text with one half of a surrogate pair");
}

// Some programs write NaN, Infinity and -Infinity into JSON.
void JsonFields::note_not_finite_literal(std::string_view before) {
    const bool is_number = depth_ == 2 || field_ == ItemField::kTemperature || field_ == ItemField::kHumidity;
    if (awaits_name_ || !is_number) return;
    const std::string_view rest = item_.substr(before.size() - (before.ends_with('-') ? 1 : 0));
    for (const std::string_view literal : {"NaN", "Infinity", "-Infinity"})
        if (rest.starts_with(literal))
            note(ItemFlawKind::kNotFinite, field_, depth_ == 2 ? metric_name_ : std::string_view{}, std::string(literal));
}

void JsonFields::note_time(ItemFlawKind kind, std::string_view text) {
    note(kind, field_, {}, text_words(text));
}

void JsonFields::keep_names_only() {
    reading_ = {.device_id = reading_.device_id,
                .measured_at = {},
                .temperature = {},
                .humidity = {},
                .idempotency_key = reading_.idempotency_key,
                .metrics = {},
                .region = {}};
}

// ---- fields and metrics ----

void JsonFields::begin_field(std::string_view name) {
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

void JsonFields::begin_metric(std::string_view name) {
    metric_name_ = metrics_.begin() ? lasting(name) : std::string_view{};
    if (has_nul(metric_name_)) note(ItemFlawKind::kNulCharacter, ItemField::kMetrics);
}

void JsonFields::finish_metrics() {
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

bool JsonFields::is_storable(std::string_view text) {
    if (!has_nul(text)) return true;
    note(ItemFlawKind::kNulCharacter, field_);
    return false;
}

void JsonFields::time(std::string_view text) {
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

void JsonFields::epoch_time(std::string_view digits) {
    if (time_unit_ == TimeUnit::kNone) {
        note(ItemFlawKind::kTimeWithoutUnit, field_, {}, number_words(digits));
        return;
    }
    reading_.measured_at = read_epoch_time(digits, time_unit_);
    if (!reading_.measured_at) note(ItemFlawKind::kTimeOutOfRange, field_, {}, number_words(digits));
}

void JsonFields::take_number(std::string_view digits) {
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

std::optional<double> JsonFields::double_of(std::string_view digits) {
    const auto [flaw, value] = read_number(digits);
    if (flaw == NumberFlaw::kNone) return value;
    const bool is_too_large = flaw == NumberFlaw::kTooLarge;
    note(is_too_large ? ItemFlawKind::kNotFinite : ItemFlawKind::kTooNearZero, field_,
         depth_ == 2 ? metric_name_ : std::string_view{},
         number_words(digits) + (is_too_large ? ", too large" : ", too near to zero") + " for double precision");
    return std::nullopt;
}

}  // namespace model
