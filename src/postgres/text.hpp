// Turns texts of the server into views, and views into texts. All functions are inline, because hot paths use them.
//
// | function                                              | world                                               |
// |-------------------------------------------------------|-----------------------------------------------------|
// | view_of, is_equal, hash_of of a `text*` or a `bytea*` | both: the value is detoasted, and nothing is raised |
// | copy_cut                                              | both: nothing is raised                             |
// | everything else                                       | P: detoasting and palloc may raise                  |
//
// A view lives as long as the bytes that it shows. A view of a `text*` lives as long as the text. A view of a Datum lives as
// long as the row or the argument from which the Datum comes. Where the server detoasted the Datum, the view also ends with the
// current memory context.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

#include "postgres/pg.hpp"

namespace postgres {

inline std::string_view view_of(const text* value) noexcept {
    return {VARDATA_ANY(value), static_cast<std::size_t>(VARSIZE_ANY_EXHDR(value))};
}

// Copies a text into an array, and cuts it between characters where the array is too small. The copy ends with NUL.
template <std::size_t kSize>
void copy_cut(char (&target)[kSize], const char* source) noexcept {
    const int kept = pg_mbcliplen(source, static_cast<int>(strlen(source)), static_cast<int>(kSize) - 1);
    memcpy(target, source, static_cast<std::size_t>(kept));
    target[kept] = '\0';
}

inline bool is_equal(const text* a, const text* b) noexcept {
    return view_of(a) == view_of(b);
}

inline std::uint64_t hash_of(std::string_view bytes, std::uint64_t seed = 0) noexcept {
    return hash_bytes_extended(reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()), seed);
}
inline std::uint64_t hash_of(const text* value) noexcept {
    return hash_of(view_of(value));
}

// P. The text itself where it is stored plainly; otherwise a detoasted copy in the current memory context.
inline text* text_of(Datum value) {
    return DatumGetTextPP(value);
}

// P. A view of a text or bytea.
inline std::string_view view_of(Datum value) {
    return view_of(text_of(value));
}

// P. A copy that ends with NUL, in the current memory context.
inline char* c_string_of(Datum value) {
    return TextDatumGetCString(value);
}

// P. These make a new value in the current memory context.
inline text* new_text(std::string_view value) {
    return cstring_to_text_with_len(value.data(), static_cast<int>(value.size()));
}
inline Datum text_datum(std::string_view value) {
    return PointerGetDatum(new_text(value));
}
inline Datum bytea_datum(std::string_view bytes) {
    return text_datum(bytes);
}
// The same in the form that the server gives a short text in a table. It is for a value that goes into a table.
inline Datum packed_text_datum(std::string_view value) {
    const std::size_t size = VARHDRSZ_SHORT + value.size();
    if (size > VARATT_SHORT_MAX) return text_datum(value);
    auto* packed = static_cast<char*>(palloc(size));
    SET_VARSIZE_SHORT(packed, size);
    if (!value.empty()) memcpy(VARDATA_SHORT(packed), value.data(), value.size());  // an empty view may have no address
    return PointerGetDatum(packed);
}
inline text* copied_text(const text* value) {
    auto* copy = static_cast<text*>(palloc(VARSIZE_ANY(value)));
    memcpy(copy, value, VARSIZE_ANY(value));
    return copy;
}
inline text* copied_text(Datum value) {
    return DatumGetTextPCopy(value);
}

// P. A value of variable length, detoasted and with a header of four bytes.
inline void* unpacked(Datum value) {
    return PG_DETOAST_DATUM(value);
}

// P. A copy of a value of variable length, detoasted.
inline void* copied_value(Datum value) {
    const struct varlena* source = PG_DETOAST_DATUM_PACKED(value);
    void* copy = palloc(VARSIZE_ANY(source));
    memcpy(copy, source, VARSIZE_ANY(source));
    return copy;
}

// P. The same with a header of four bytes.
inline void* copied_unpacked_value(Datum value) {
    return PG_DETOAST_DATUM_COPY(value);
}

// A text whose memory the next text takes over. It is for a value that is made anew for each row. It starts with `bytes` null
// and `capacity` 0.
struct ReusedText {
    MemoryContext memory;
    char* bytes;
    std::size_t capacity;
};

// P. The Datum is valid until the next call with the same `reused`.
inline Datum text_datum(ReusedText& reused, std::string_view value) {
    const std::size_t size = VARHDRSZ + value.size();
    if (size > reused.capacity) {
        reused.capacity = 2 * size + 64;
        reused.bytes = static_cast<char*>(MemoryContextAlloc(reused.memory, reused.capacity));
    }
    SET_VARSIZE(reused.bytes, size);
    if (!value.empty()) memcpy(VARDATA(reused.bytes), value.data(), value.size());  // an empty view may have no address
    return PointerGetDatum(reused.bytes);
}

}  // namespace postgres
