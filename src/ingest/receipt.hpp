// Receipts are the composite results of the commands. This file is written wholly in P.
#pragma once

#include "model/identifiers.hpp"
#include "postgres/types.hpp"

namespace ingest {

// Returns the row type that the called function returns, blessed. The call site keeps it for the next call.
TupleDesc result_row_type(FunctionCallInfo fcinfo);

// Names the transaction that stored a reading, as "epoch:xid". Clients must not look into it.
Datum token_of(model::Epoch epoch, model::Xid xid);

}  // namespace ingest
