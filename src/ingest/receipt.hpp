// Composite results of the commands. This file is written wholly in P.
#pragma once

#include "model/identifiers.hpp"
#include "postgres/types.hpp"

namespace ingest {

// The row type that the function called through `fcinfo` returns, blessed and kept with the call site.
TupleDesc result_row_type(FunctionCallInfo fcinfo);

// Names the transaction that stored a reading: "epoch:xid". Opaque to clients.
Datum token_of(model::Epoch epoch, model::Xid xid);

}  // namespace ingest
