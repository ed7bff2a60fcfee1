// Checks operator classes, and the columns of an index. This file is written wholly in P.
#pragma once

#include "postgres/pg.hpp"

namespace reading_index {

// amvalidate: says in INFO messages what is wrong with an operator class.
bool validate(Oid operator_class);

// 0A000: the index is not one on a device and a time of an ordinary table.
void check_columns(Relation table, Relation index, const IndexInfo& info);

}  // namespace reading_index
