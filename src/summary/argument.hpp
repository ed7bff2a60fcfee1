// Takes a telemetry.summary from the arguments of an SQL function. The first argument is one, and is not NULL.
#pragma once

#include "postgres/types.hpp"
#include "summary/summary.hpp"
#include "summary/summary_bytes.hpp"

namespace summary {

// All of them raise TC302 where the value is corrupt.
Statistics statistics_argument(FunctionCallInfo fcinfo);
Summary summary_argument(FunctionCallInfo fcinfo);

// The same for any argument, which is not NULL.
FoundSummary found_argument(FunctionCallInfo fcinfo, int number);

}  // namespace summary
