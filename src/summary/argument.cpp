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

FoundSummary found_argument(FunctionCallInfo fcinfo) {
    const FoundSummary found = postgres::guarded([fcinfo] { return find_summary(PG_GETARG_DATUM(0)); });
    if (!found.is_known) refuse_argument();
    return found;
}

}  // namespace

Statistics statistics_argument(FunctionCallInfo fcinfo) {
    return found_argument(fcinfo).statistics;
}

Summary summary_argument(FunctionCallInfo fcinfo) {
    const FoundSummary found = found_argument(fcinfo);
    if (!found.has_sketch) return {found.statistics, std::nullopt};
    auto bins = bins_from(found.sketch_bytes);
    if (!bins || !is_consistent(found.statistics, *bins)) refuse_argument();
    return {found.statistics, std::move(bins)};
}

}  // namespace summary
