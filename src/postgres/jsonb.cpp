// Builds and walks values of type jsonb. This file is written wholly in P.
#include "postgres/jsonb.hpp"

#include <cmath>

#include "postgres/numeric.hpp"

#include "postgres/pg.hpp"

namespace postgres {
namespace {

JsonbValue string_of(std::string_view bytes) {
    JsonbValue value;
    value.type = jbvString;
    value.val.string.val = const_cast<char*>(bytes.data());
    value.val.string.len = static_cast<int>(bytes.size());
    return value;
}

void add_name(JsonbBuilder& builder, std::string_view name) {
    JsonbValue key = string_of(name);
    pushJsonbValue(&builder.state, WJB_KEY, &key);
}

void add(JsonbBuilder& builder, std::string_view name, JsonbValue value) {
    add_name(builder, name);
    pushJsonbValue(&builder.state, WJB_VALUE, &value);
}

void add_numeric(JsonbBuilder& builder, std::string_view name, Numeric number) {
    JsonbValue value;
    value.type = jbvNumeric;
    value.val.numeric = number;
    add(builder, name, value);
}

Numeric numeric_of(char* digits) {
    return DatumGetNumeric(
        DirectFunctionCall3(numeric_in, CStringGetDatum(digits), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
}

}  // namespace

bool is_json_null(Jsonb* value) {
    JsonbValue scalar;
    return JB_ROOT_IS_SCALAR(value) && JsonbExtractScalar(&value->root, &scalar) && scalar.type == jbvNull;
}

Jsonb* without_nulls(Datum value) {
    return DatumGetJsonbP(DirectFunctionCall1(jsonb_strip_nulls, value));
}

Jsonb* jsonb_of(JsonbValue& value) {
    return JsonbValueToJsonb(&value);
}

char* printed(Jsonb* value) {
    return JsonbToCString(nullptr, &value->root, static_cast<int>(size_of(value)));
}

char* printed_member(Jsonb* object, std::string_view name) {
    JsonbValue key = string_of(name);
    JsonbValue* member = findJsonbValueFromContainer(&object->root, JB_FOBJECT, &key);
    return member == nullptr ? nullptr : printed(JsonbValueToJsonb(member));
}

void open_object(JsonbBuilder& builder) {
    pushJsonbValue(&builder.state, WJB_BEGIN_OBJECT, nullptr);
}

Jsonb* finish_object(JsonbBuilder& builder) {
    return JsonbValueToJsonb(pushJsonbValue(&builder.state, WJB_END_OBJECT, nullptr));
}

void open_object(JsonbBuilder& builder, std::string_view name) {
    add_name(builder, name);
    pushJsonbValue(&builder.state, WJB_BEGIN_OBJECT, nullptr);
}

void close_object(JsonbBuilder& builder) {
    pushJsonbValue(&builder.state, WJB_END_OBJECT, nullptr);
}

void add_text(JsonbBuilder& builder, std::string_view name, std::string_view value) {
    add(builder, name, string_of(value));
}

void add_integer(JsonbBuilder& builder, std::string_view name, std::int64_t value) {
    add_numeric(builder, name, int64_to_numeric(value));
}

void add_jsonb(JsonbBuilder& builder, std::string_view name, const Jsonb* value) {
    JsonbValue nested;
    nested.type = jbvBinary;
    nested.val.binary.data = const_cast<JsonbContainer*>(&value->root);
    nested.val.binary.len = static_cast<int>(size_of(value) - VARHDRSZ);
    add(builder, name, nested);
}

void add_members(JsonbBuilder& builder, Jsonb* object) {
    if (!JB_ROOT_IS_OBJECT(object)) return;
    JsonbIterator* iterator = JsonbIteratorInit(&object->root);
    JsonbValue item;
    (void)JsonbIteratorNext(&iterator, &item, true);  // WJB_BEGIN_OBJECT
    for (JsonbIteratorToken token; (token = JsonbIteratorNext(&iterator, &item, true)) != WJB_END_OBJECT;)
        pushJsonbValue(&builder.state, token, &item);
}

void add_double(JsonbBuilder& builder, std::string_view name, double value) {
    auto* digits = static_cast<char*>(palloc(DOUBLE_SHORTEST_DECIMAL_LEN));
    double_to_shortest_decimal_buf(value, digits);
    if (!std::isfinite(value)) return add_text(builder, name, digits);
    add_numeric(builder, name, numeric_of(digits));
}

void add_double_as_shown(JsonbBuilder& builder, std::string_view name, double value) {
    add_numeric(builder, name, numeric_of(float8out_internal(value)));
}

void add_time(JsonbBuilder& builder, std::string_view name, TimestampTz value) {
    add_text(builder, name, JsonEncodeDateTime(nullptr, TimestampTzGetDatum(value), TIMESTAMPTZOID, nullptr));
}

void add_utc_time(JsonbBuilder& builder, std::string_view name, TimestampTz value) {
    constexpr int kUtc = 0;
    add_text(builder, name, JsonEncodeDateTime(nullptr, TimestampTzGetDatum(value), TIMESTAMPTZOID, &kUtc));
}

bool begin_members(MemberWalk& walk, Jsonb* object) {
    walk = {};
    if (!JB_ROOT_IS_OBJECT(object)) return false;
    walk.iterator = JsonbIteratorInit(&object->root);
    (void)JsonbIteratorNext(&walk.iterator, &walk.value, true);  // WJB_BEGIN_OBJECT
    return true;
}

bool next_member(MemberWalk& walk) {
    JsonbValue name;
    if (JsonbIteratorNext(&walk.iterator, &name, true) != WJB_KEY) return false;
    walk.name = {name.val.string.val, static_cast<std::size_t>(name.val.string.len)};
    (void)JsonbIteratorNext(&walk.iterator, &walk.value, true);
    return true;
}

void begin_walk(NumberWalk& walk, Jsonb* object) {
    walk = {nullptr, NumbersShape::kObjectOfNumbers, nullptr, 0, {}, 0};
    if (!JB_ROOT_IS_OBJECT(object)) {
        walk.shape = NumbersShape::kNotAnObject;
        return;
    }
    walk.member_count = static_cast<int>(JB_ROOT_COUNT(object));
    walk.iterator = JsonbIteratorInit(&object->root);
    JsonbValue start;
    (void)JsonbIteratorNext(&walk.iterator, &start, true);  // WJB_BEGIN_OBJECT
}

bool go_on(NumberWalk& walk) {
    JsonbValue name, value;
    while (walk.iterator != nullptr && JsonbIteratorNext(&walk.iterator, &name, true) == WJB_KEY) {
        (void)JsonbIteratorNext(&walk.iterator, &value, true);
        if (value.type == jbvNull) continue;
        if (value.type != jbvNumeric) {
            walk.shape = NumbersShape::kNotANumber;
            walk.offender = pnstrdup(name.val.string.val, static_cast<Size>(name.val.string.len));
            return false;
        }
        walk.name = {name.val.string.val, static_cast<std::size_t>(name.val.string.len)};
        walk.value = to_double(value.val.numeric);
        if (walk.value == 0 && !is_zero(value.val.numeric)) {
            walk.shape = NumbersShape::kTooNearZero;
            walk.offender = pnstrdup(name.val.string.val, static_cast<Size>(name.val.string.len));
        }
        return true;
    }
    return false;
}

}  // namespace postgres
