// Makes the parts of an entry from the values of a row or of a scan key. This file is written wholly in P.
#pragma once

#include "postgres/text.hpp"

#include "postgres/pg.hpp"

namespace reading_index {

inline uint32 hash_of_device(Datum device) {
    return static_cast<uint32>(postgres::hash_of(postgres::view_of(device)));
}

// Never falls when `at` rises. So a row within bounds has a second within the seconds of the bounds.
inline int32 second_of(TimestampTz at) {
    int64 second = at / USECS_PER_SEC;
    if (at % USECS_PER_SEC < 0) --second;
    if (second < PG_INT32_MIN) return PG_INT32_MIN;
    if (second > PG_INT32_MAX) return PG_INT32_MAX;
    return static_cast<int32>(second);
}

}  // namespace reading_index
