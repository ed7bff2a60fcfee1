// Finds the parts of the argument in a guard, and judges them outside.
#include "summary/argument.hpp"

#include "error_codes.hpp"
#include "postgres/error.hpp"
#include "summary/sketch_bytes.hpp"
#include "summary/stored_summary.hpp"

#include "postgres/pg.hpp"

namespace summary {

namespace {

[[noreturn]] void refuse_argument() {
    throw postgres::Error(error_codes::kCorruptSummary, "corrupt telemetry.summary", kCorruptSummaryDetail,
                          kCorruptSummaryHint);
}

}  // namespace

FoundSummary found_argument(FunctionCallInfo fcinfo, int number) {
    const FoundSummary found = postgres::guarded([fcinfo, number] { return find_summary(PG_GETARG_DATUM(number)); });
    if (!found.is_known) refuse_argument();
    return found;
}

Statistics statistics_argument(FunctionCallInfo fcinfo) {
    return found_argument(fcinfo, 0).statistics;
}

Summary summary_argument(FunctionCallInfo fcinfo) {
    const FoundSummary found = found_argument(fcinfo, 0);
    Summary summary{.statistics = found.statistics, .counter = {}, .sketch = {}};
    if (found.is_counter) summary.counter = found.counter;
    if (!found.has_sketch) return summary;
    summary.sketch = bins_from(found.sketch_bytes);
    if (!summary.sketch || !is_consistent(found.statistics, *summary.sketch)) refuse_argument();
    return summary;
}

}  // namespace summary
