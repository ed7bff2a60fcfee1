// Finds the rows of one device in a range of time. This file is written wholly in P.
#pragma once

#include "postgres/pg.hpp"

namespace reading_index {

// amgetbitmap: adds every row that may match, for the executor to look at again.
int64 get_bitmap(IndexScanDesc scan, TIDBitmap* bitmap);

}  // namespace reading_index
