// Builds objects of type jsonb, and reads objects of numbers. This file is written wholly in P. Only `size_of` and `hash_of`
// raise nothing, because a `Jsonb*` is detoasted already.
#pragma once

#include <cstdint>
#include <string_view>

#include "postgres/text.hpp"

#include "postgres/pg.hpp"

namespace postgres {

inline std::size_t size_of(const Jsonb* value) noexcept {
    return VARSIZE(value);
}
inline std::uint64_t hash_of(const Jsonb* value) noexcept {
    return hash_of(reinterpret_cast<const text*>(value));
}

// Is it the JSON value null, which some drivers make of an empty map?
bool is_json_null(Jsonb* value);

// Returns a copy without the members that are null, at any depth, in the current memory context.
Jsonb* without_nulls(Datum value);

// The value as JSON text, in the current memory context.
char* printed(Jsonb* value);

// The same for a member of an object. Null: there is no such member.
char* printed_member(Jsonb* object, std::string_view name);

// A value that an iterator has given, as a jsonb of its own in the current memory context.
Jsonb* jsonb_of(JsonbValue& value);

// An object that is built member by member. It starts as {}. The builder keeps pointers to the added texts and nested values,
// so the caller keeps these until `finish_object`. Of several members of one name the last counts.
struct JsonbBuilder {
    JsonbParseState* state;
};

// `open_object` begins the object itself, and `finish_object` ends it. All that is added in between is a member of it.
void open_object(JsonbBuilder& builder);
Jsonb* finish_object(JsonbBuilder& builder);

// Begin and end an object inside the one that is open.
void open_object(JsonbBuilder& builder, std::string_view name);
void close_object(JsonbBuilder& builder);

void add_text(JsonbBuilder& builder, std::string_view name, std::string_view value);
void add_integer(JsonbBuilder& builder, std::string_view name, std::int64_t value);
void add_jsonb(JsonbBuilder& builder, std::string_view name, const Jsonb* value);

// Adds each member of an object; of another value, none.
void add_members(JsonbBuilder& builder, Jsonb* object);

// Adds the exact value, whatever the session's extra_float_digits is. JSON has no NaN and no infinity, so these are added as
// text.
void add_double(JsonbBuilder& builder, std::string_view name, double value);

// Adds a finite value as the session shows it and as to_jsonb gives it: extra_float_digits counts.
void add_double_as_shown(JsonbBuilder& builder, std::string_view name, double value);

// Adds a time as the server's JSON shows a timestamptz: in ISO 8601, in the session's time zone.
void add_time(JsonbBuilder& builder, std::string_view name, TimestampTz value);      // in the session's time zone
void add_utc_time(JsonbBuilder& builder, std::string_view name, TimestampTz value);  // in UTC

// A walk over the members of an object, in jsonb's order. Names and values point into the object.
struct MemberWalk {
    JsonbIterator* iterator;
    std::string_view name;
    JsonbValue value;  // a nested one stays as it is (jbvBinary)
};
bool begin_members(MemberWalk& walk, Jsonb* object);  // false: it is no object
bool next_member(MemberWalk& walk);                   // false: there is none

enum class NumbersShape { kObjectOfNumbers, kNotAnObject, kNotANumber, kTooNearZero };

// The members of an object of numbers. `Member` can be made of a name and a double.
template <typename Member>
struct Numbers {
    NumbersShape shape;
    const char* offender;  // C string: name of a member that is to blame for the shape; null: none is
    Member* items;         // in jsonb's order; members that are null are left out
    int count;
    int member_count;  // of the object, with those that are null
};

// A walk over the members of an object.
struct NumberWalk {
    JsonbIterator* iterator;
    NumbersShape shape;
    const char* offender;
    int member_count;
    std::string_view name;  // of the member that the walk stands on; points into the object
    double value;           // too large for a double: an infinity; too near to zero: a zero
};
void begin_walk(NumberWalk& walk, Jsonb* object);
bool go_on(NumberWalk& walk);  // to the next number; false: there is none

// Reads `object` (null: it has no members). The result lies in the current memory context, and its names point into `object`.
template <typename Member>
Numbers<Member> read_numbers(Jsonb* object) {
    if (object == nullptr) return {NumbersShape::kObjectOfNumbers, nullptr, nullptr, 0, 0};
    NumberWalk walk;
    begin_walk(walk, object);
    auto* items = static_cast<Member*>(palloc(sizeof(Member) * (static_cast<std::size_t>(walk.member_count) + 1)));
    int count = 0;
    while (go_on(walk)) items[count++] = Member{walk.name, walk.value};
    return {walk.shape, walk.offender, items, count, walk.member_count};
}

}  // namespace postgres
