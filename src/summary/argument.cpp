// Looks into the argument in a guard, and judges it outside.
#include "summary/argument.hpp"

#include "error_codes.hpp"
#include "postgres/error.hpp"
#include "postgres/text.hpp"
#include "summary/stored_summary.hpp"

#include "postgres/pg.hpp"

namespace summary {

const Statistics& statistics_argument(FunctionCallInfo fcinfo) {
    const Statistics* statistics =
        postgres::guarded([fcinfo] { return find_statistics(postgres::unpacked(PG_GETARG_DATUM(0))); });
    if (statistics == nullptr || statistics->count == 0)
        throw postgres::Error(error_codes::kCorruptSummary, "corrupt telemetry.summary", kCorruptSummaryDetail,
                              kCorruptSummaryHint);
    return *statistics;
}

}  // namespace summary
