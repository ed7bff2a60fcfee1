// Parses by Boost.JSON, and checks the members.
#include "relay/json_object.hpp"

#include "model/boost_json.hpp"

namespace relay {

struct JsonObject::Parsed {
    // A short object, such as the acknowledgement of a message, needs no memory besides.
    unsigned char buffer[2048];
    boost::json::monotonic_resource memory{buffer, sizeof buffer};
    boost::json::value value = boost::json::value(boost::json::storage_ptr(&memory));  // with braces it would be an array
};

JsonObject::JsonObject(std::string_view text) : parsed_(std::make_unique<Parsed>()) {
    boost::json::parse_options options;
    options.max_depth = kMaxJsonDepth;
    unsigned char stack[1024];
    boost::json::parser parser({}, options, stack);
    parser.reset(&parsed_->memory);
    boost::system::error_code error;
    parser.write(text.data(), text.size(), error);
    if (error) {
        flaw_ = JsonFlaw{"it is not JSON: " + error.message()};
        return;
    }
    parsed_->value = parser.release();
    if (!parsed_->value.is_object()) flaw_ = JsonFlaw{"it is not a JSON object"};
}

JsonObject::~JsonObject() = default;

JsonMembers JsonObject::members() {
    return {parsed_->value.if_object(), flaw_};
}

const boost::json::value* JsonMembers::find(std::string_view name) const noexcept {
    if (members_ == nullptr) return nullptr;
    const boost::json::value* value = members_->if_contains(name);
    return value == nullptr || value->is_null() ? nullptr : value;
}

void JsonMembers::note(std::string_view name, std::string_view words) {
    if (!flaw_) flaw_ = JsonFlaw{std::string(name) + " " + std::string(words)};
}

void JsonMembers::require(std::string_view name) {
    if (!has(name)) note(name, "is missing");
}

JsonMembers JsonMembers::object(std::string_view name) {
    const boost::json::value* value = find(name);
    if (value == nullptr) return {nullptr, flaw_};
    if (!value->is_object()) note(name, "is not an object");
    return {value->if_object(), flaw_};
}

std::string JsonMembers::text(std::string_view name) {
    const boost::json::value* value = find(name);
    if (value == nullptr) return {};
    if (const auto* text = value->if_string()) return {text->data(), text->size()};
    note(name, "is not a string");
    return {};
}

// Zero where the member is missing. A value that is no integer is a flaw here, and one that is too large for its use is a flaw
// there.
std::variant<std::int64_t, std::uint64_t> JsonMembers::integer(std::string_view name) {
    const boost::json::value* value = find(name);
    if (value == nullptr) return std::int64_t{0};
    if (const auto* integer = value->if_int64()) return *integer;
    if (const auto* integer = value->if_uint64()) return *integer;
    note(name, "is not a whole number in its range");
    return std::int64_t{0};
}

std::vector<std::string> JsonMembers::texts(std::string_view name) {
    std::vector<std::string> texts;
    const boost::json::value* value = find(name);
    if (value == nullptr) return texts;
    const auto* array = value->if_array();
    if (array == nullptr) {
        note(name, "is not an array of strings");
        return texts;
    }
    for (const boost::json::value& element : *array) {
        if (const auto* text = element.if_string())
            texts.emplace_back(text->data(), text->size());
        else
            note(name, "is not an array of strings");
    }
    return texts;
}

bool JsonMembers::boolean(std::string_view name) {
    const boost::json::value* value = find(name);
    if (value == nullptr) return false;
    if (const bool* boolean = value->if_bool()) return *boolean;
    note(name, "is not true or false");
    return false;
}

}  // namespace relay
