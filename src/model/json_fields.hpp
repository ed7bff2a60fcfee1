// Makes a reading of the names and values in one item of a JSON text, and notes the first thing that is wrong with the item.
#pragma once

#include <cstddef>
#include <memory_resource>
#include <optional>
#include <string>
#include <string_view>

#include "model/epoch_time.hpp"
#include "model/item_flaw.hpp"
#include "model/json_metrics.hpp"
#include "model/reading.hpp"

namespace model {

// Takes the parts of an item in their order. A text that is given is a view into the item, or one that lasts until the function
// returns.
class JsonFields {
public:
    // The memory takes what lasts. The reading has views into it and into the item.
    JsonFields(TimeUnit time_unit, std::pmr::memory_resource& memory) : time_unit_(time_unit), memory_(memory) {}

    void begin(std::string_view item);
    void begin_object();
    void end_object() noexcept;
    void begin_array();
    void end_array() noexcept;
    void name(std::string_view text);
    void string(std::string_view text);
    void number(std::string_view digits);
    void boolean(bool value);
    void null();
    void end();

    // The item ceases to be JSON at a position. The cause may be half of a surrogate pair, or a number whose exponent the
    // parser does not take.
    enum class Stop { kOther, kSurrogate, kExponent };
    void stop(Stop cause, std::size_t position);

    // True: the parts belong to a value that does not matter.
    bool is_skipping() const noexcept { return skipped_depth_ > 0; }

    const ItemFlaw& flaw() const noexcept { return flaw_; }
    const Reading& reading() const noexcept { return reading_; }

private:
    std::string_view lasting(std::string_view text);

    bool note(ItemFlawKind kind, ItemField field, std::string_view name = {}, std::string sent = {});
    void note_wrong_type(std::string sent);
    void note_lone_surrogate();
    void note_not_finite_literal(std::string_view before);
    void note_time(ItemFlawKind kind, std::string_view text);
    void skip_nested(const char* words);
    void keep_names_only();

    void begin_field(std::string_view name);
    void begin_metric(std::string_view name);
    void finish_metrics();
    bool is_storable(std::string_view text);
    void time(std::string_view text);
    void epoch_time(std::string_view digits);
    void take_number(std::string_view digits);
    std::optional<double> double_of(std::string_view digits);

    const TimeUnit time_unit_;
    std::pmr::memory_resource& memory_;

    std::string_view item_;
    ItemFlaw flaw_;
    Reading reading_{};
    ItemField field_ = ItemField::kUnknown;  // whose value comes; kUnknown: its value does not matter
    unsigned fields_seen_ = 0;               // bits
    std::size_t depth_ = 0;                  // 1: in the reading; 2: in its metrics
    std::size_t skipped_depth_ = 0;          // levels of a value that does not matter
    bool awaits_name_ = false;               // of a field or a metric
    std::string_view metric_name_;
    JsonMetrics metrics_;
};

}  // namespace model
