// Takes a telemetry.summary from the arguments of an SQL function.
#pragma once

#include "postgres/types.hpp"
#include "summary/statistics.hpp"

namespace summary {

// The statistics of the first argument, which is not NULL. They live as long as the argument. TC302: the value is corrupt.
const Statistics& statistics_argument(FunctionCallInfo fcinfo);

}  // namespace summary
