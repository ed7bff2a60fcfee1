// Makes arrays of types whose length and alignment never change, and takes arrays apart. This file is written wholly in P.
#include "postgres/array.hpp"

#include "postgres/text.hpp"

#include "postgres/pg.hpp"

namespace postgres {

Datum array_datum(Datum* values, int count, Oid type, bool* nulls) {
    int dimension = count, lower_bound = 1;
    int16 length = -1;
    char alignment = TYPALIGN_INT;
    if (type == INT4OID) length = sizeof(int32);
    if (type == INT8OID) {
        length = sizeof(int64);
        alignment = TYPALIGN_DOUBLE;
    }
    if (count == 0) return PointerGetDatum(construct_empty_array(type));
    return PointerGetDatum(construct_md_array(values, nulls, 1, &dimension, &lower_bound, type, length, length > 0, alignment));
}

GrowingArray<std::string_view> texts_of(Datum array) {
    Datum* items = nullptr;
    int count = 0;
    deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT, &items, nullptr, &count);
    GrowingArray<std::string_view> texts{};
    for (int i = 0; i < count; ++i) append(texts, view_of(items[i]));
    return texts;
}

}  // namespace postgres
