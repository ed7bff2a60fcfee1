// The names that the SQL functions of the registry take obey the rules of the names in readings.
#pragma once

#include "postgres/types.hpp"

namespace ingest {

// Throws Error(TC001 or TC007). A null device_id counts as an empty one; a null region is none.
void require_valid_names(const text* device_id, const text* region);

}  // namespace ingest
