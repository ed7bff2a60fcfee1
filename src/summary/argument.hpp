// Takes a telemetry.summary from the arguments of an SQL function. The first argument is one, and is not NULL.
#pragma once

#include "postgres/types.hpp"
#include "summary/summary.hpp"

namespace summary {

// Both raise TC302 where the value is corrupt.
Statistics statistics_argument(FunctionCallInfo fcinfo);
Summary summary_argument(FunctionCallInfo fcinfo);

}  // namespace summary
