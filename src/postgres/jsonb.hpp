// Values of type jsonb: building objects, and reading objects of numbers. This file is written wholly in P. Only `size_of` and
// `hash_of` raise nothing: a `Jsonb*` is detoasted.
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

// The same value without members that are null, at any depth; a new one in the current memory context.
Jsonb* without_nulls(Datum value);

// A jsonb[] of values that are not NULL.
Datum jsonb_array_datum(Datum* values, int count);

// An object being built, member by member. All that is added is kept as it is until `finish_object`, texts and nested values
// included; of members of one name the last counts. Starts as {}.
struct JsonbBuilder {
    JsonbParseState* state;
};

// Opens the object itself. Everything in between is a member of it.
void open_object(JsonbBuilder& builder);
Jsonb* finish_object(JsonbBuilder& builder);

// An object inside the one that is open.
void open_object(JsonbBuilder& builder, std::string_view name);
void close_object(JsonbBuilder& builder);

void add_null(JsonbBuilder& builder, std::string_view name);
void add_text(JsonbBuilder& builder, std::string_view name, std::string_view value);
void add_integer(JsonbBuilder& builder, std::string_view name, std::int64_t value);
void add_jsonb(JsonbBuilder& builder, std::string_view name, const Jsonb* value);

// Exactly, whatever the session's extra_float_digits. JSON has no NaN and no infinity: they are added as text.
void add_double(JsonbBuilder& builder, std::string_view name, double value);

// As the session shows it, and as to_jsonb gives it: extra_float_digits counts. Finite.
void add_double_as_shown(JsonbBuilder& builder, std::string_view name, double value);

// As JSON of the server shows a timestamptz: ISO 8601 in the session's time zone.
void add_time(JsonbBuilder& builder, std::string_view name, TimestampTz value);

enum class NumbersShape { kObjectOfNumbers, kNotAnObject, kNotANumber, kTooNearZero };

// What an object of numbers holds. `Member` is made of a name and a double.
template <typename Member>
struct Numbers {
    NumbersShape shape;
    const char* offender;  // name of a member that gives the object its shape, ends with NUL; null otherwise
    Member* items;         // in jsonb's order; members that are null are left out
    int count;
    int member_count;  // of the object, those that are null included
};

// Walks over an object's members.
struct NumberWalk {
    JsonbIterator* iterator;
    NumbersShape shape;
    const char* offender;
    int member_count;
    std::string_view name;  // of the member that the walk stands on; points into the object
    double value;           // beyond double precision an infinity, nearer to zero than it a zero
};
void begin_walk(NumberWalk& walk, Jsonb* object);
bool go_on(NumberWalk& walk);  // to the next number; false: there is none

// Reads `object` (null: no members), palloc'ing in the current context. Names point into `object`.
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
