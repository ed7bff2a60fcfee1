// Receipts are the composite results of the commands.
#pragma once

#include <string_view>

#include "ingest/intake.hpp"
#include "model/identifiers.hpp"
#include "postgres/types.hpp"

namespace ingest {

// P. Names the transaction that stored a reading, as "epoch:xid". Clients must not look into it.
Datum token_of(model::Epoch epoch, model::Xid xid);

// The receipt of a statement that may have several readings.
Datum batch_receipt(FunctionCallInfo fcinfo, const IntakeTotals& totals, std::string_view token);

}  // namespace ingest
