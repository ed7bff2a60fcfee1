// Gives what Boost.JSON's parser reports to JsonFields. A text or a number may come in parts, and goes on as a whole.
#include "model/json_item.hpp"

#include <cstdint>
#include <string>

#include "model/boost_json.hpp"
#include "model/json_fields.hpp"

namespace model {
namespace {

using boost::system::error_code;

// An item with more levels always has an earlier flaw, so that these only bound the parser's recursion.
constexpr std::size_t kMaxDepth = 32;

// The parser calls the functions, and goes on where they return true.
class ItemHandler {
public:
    static constexpr std::size_t max_object_size = static_cast<std::size_t>(-1);  // NOLINT: Boost's names
    static constexpr std::size_t max_array_size = static_cast<std::size_t>(-1);   // NOLINT
    static constexpr std::size_t max_key_size = static_cast<std::size_t>(-1);     // NOLINT
    static constexpr std::size_t max_string_size = static_cast<std::size_t>(-1);  // NOLINT

    ItemHandler(TimeUnit time_unit, std::pmr::memory_resource& memory) : fields(time_unit, memory) {}

    void begin(std::string_view item) {
        parts_.clear();
        fields.begin(item);
    }

    bool on_document_begin(error_code&) { return true; }
    bool on_document_end(error_code&) { return true; }

    bool on_object_begin(error_code&) {
        fields.begin_object();
        return true;
    }
    bool on_object_end(std::size_t, error_code&) {
        fields.end_object();
        return true;
    }
    bool on_array_begin(error_code&) {
        fields.begin_array();
        return true;
    }
    bool on_array_end(std::size_t, error_code&) {
        fields.end_array();
        return true;
    }

    bool on_key_part(boost::json::string_view part, std::size_t, error_code&) { return add_part(part); }
    bool on_key(boost::json::string_view last, std::size_t, error_code&) { return end_text(last, &JsonFields::name); }

    bool on_string_part(boost::json::string_view part, std::size_t, error_code&) { return add_part(part); }
    bool on_string(boost::json::string_view last, std::size_t, error_code&) { return end_text(last, &JsonFields::string); }

    bool on_number_part(boost::json::string_view part, error_code&) { return add_part(part); }
    bool on_int64(std::int64_t, boost::json::string_view last, error_code&) { return end_text(last, &JsonFields::number); }
    bool on_uint64(std::uint64_t, boost::json::string_view last, error_code&) { return end_text(last, &JsonFields::number); }
    bool on_double(double, boost::json::string_view last, error_code&) { return end_text(last, &JsonFields::number); }

    bool on_bool(bool value, error_code&) {
        if (!fields.is_skipping()) fields.boolean(value);
        return true;
    }
    bool on_null(error_code&) {
        if (!fields.is_skipping()) fields.null();
        return true;
    }

    bool on_comment_part(boost::json::string_view, error_code&) { return true; }
    bool on_comment(boost::json::string_view, error_code&) { return true; }

    JsonFields fields;

private:
    bool add_part(std::string_view part) {
        if (!fields.is_skipping()) parts_ += part;
        return true;
    }

    bool end_text(std::string_view last, void (JsonFields::*take)(std::string_view)) {
        if (fields.is_skipping()) return true;
        (fields.*take)(parts_.empty() ? last : std::string_view(parts_ += last));
        parts_.clear();
        return true;
    }

    std::string parts_;  // of the text or number that the parser reads
};

JsonFields::Stop cause_of(const error_code& code) {
    using boost::json::error;
    if (code == error::illegal_leading_surrogate || code == error::illegal_trailing_surrogate)
        return JsonFields::Stop::kSurrogate;
    return code == error::exponent_overflow ? JsonFields::Stop::kExponent : JsonFields::Stop::kOther;
}

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
        json.handler().fields.stop(cause_of(error), size);
        return kNotFound;
    }
    json.handler().fields.end();
    return size;
}

const ItemFlaw& JsonItemReader::flaw() const noexcept {
    return parser_->json.handler().fields.flaw();
}

const Reading& JsonItemReader::reading() const noexcept {
    return parser_->json.handler().fields.reading();
}

}  // namespace model
