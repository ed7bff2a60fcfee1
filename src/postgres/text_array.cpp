// Takes arrays apart. This file is written wholly in P.
#include "postgres/text_array.hpp"

#include "postgres/text.hpp"

#include "postgres/pg.hpp"

namespace postgres {

GrowingArray<std::string_view> texts_of(Datum array) {
    Datum* items = nullptr;
    int count = 0;
    deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT, &items, nullptr, &count);
    GrowingArray<std::string_view> texts{};
    for (int i = 0; i < count; ++i) append(texts, view_of(items[i]));
    return texts;
}

}  // namespace postgres
