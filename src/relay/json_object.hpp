// Reads a JSON object that another server sent. Nothing about it is sure: its syntax, its depth, the types and the sizes of its
// members. The first thing that is wrong is noted as a flaw, and no exception is thrown, save for want of memory.
//
//   JsonObject object(text);
//   ack.sequence = object.members().number<std::uint64_t>("seq");
//   if (object.flaw()) return *object.flaw();
//
// Members that nobody asks for do not matter, so that later versions of a server may send more. A member that is null is
// missing. Texts are in UTF-8.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

// Only json_object.cpp includes model/boost_json.hpp here, so that the others compile sooner.
namespace boost::json {
class object;
class value;
}  // namespace boost::json

namespace relay {

// What is wrong, such as "seq is not a whole number in its range".
struct JsonFlaw {
    std::string text;
};

inline constexpr int kMaxJsonDepth = 16;  // replies of JetStream have five levels at most

class JsonObject;

// The members of an object. Each function gives the empty value where the member is missing, and where it has another type,
// which it also notes as a flaw.
class JsonMembers {
public:
    bool has(std::string_view name) const noexcept { return find(name) != nullptr; }
    void require(std::string_view name);                       // notes a missing member as a flaw
    void note(std::string_view name, std::string_view words);  // notes a flaw of a member, unless there is one already

    JsonMembers object(std::string_view name);
    std::string text(std::string_view name);
    std::vector<std::string> texts(std::string_view name);
    bool boolean(std::string_view name);

    template <typename Number>
    Number number(std::string_view name) {
        return std::visit(
            [this, name](auto integer) -> Number {
                if (std::in_range<Number>(integer)) return static_cast<Number>(integer);
                note(name, "is not a whole number in its range");
                return 0;
            },
            integer(name));
    }

private:
    friend class JsonObject;
    JsonMembers(const boost::json::object* members, std::optional<JsonFlaw>& flaw) : members_(members), flaw_(flaw) {}

    const boost::json::value* find(std::string_view name) const noexcept;
    std::variant<std::int64_t, std::uint64_t> integer(std::string_view name);

    const boost::json::object* members_;  // null: none
    std::optional<JsonFlaw>& flaw_;
};

class JsonObject {
public:
    explicit JsonObject(std::string_view text);
    ~JsonObject();
    JsonObject(const JsonObject&) = delete;
    JsonObject& operator=(const JsonObject&) = delete;

    // The members are a view into the object.
    JsonMembers members();
    const std::optional<JsonFlaw>& flaw() const noexcept { return flaw_; }

private:
    struct Parsed;

    std::unique_ptr<Parsed> parsed_;
    std::optional<JsonFlaw> flaw_;
};

}  // namespace relay
