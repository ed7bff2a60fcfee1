// The options of calls with many readings, and the refusal of a call as a whole.
#pragma once

#include <string>

#include "ingest/verdicts.hpp"
#include "model/epoch_time.hpp"
#include "postgres/types.hpp"

namespace ingest {

// Throws Error(TC010).
[[noreturn]] void refuse_batch(std::string detail, std::string hint);

// The argument on_error: 'quarantine' or 'abort'. Throws Error(TC010) for anything else.
OnError on_error_of(FunctionCallInfo fcinfo, int number);

// The argument time_unit: 's', 'ms', 'us' or 'ns'; NULL: times are texts. Throws Error(TC010) for anything else.
model::TimeUnit time_unit_of(FunctionCallInfo fcinfo, int number);

}  // namespace ingest
