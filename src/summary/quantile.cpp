// The SQL function quantile(summary, fraction).
#include <string>

#include "postgres/entry_point.hpp"
#include "postgres/error.hpp"
#include "summary/argument.hpp"

#include "postgres/pg.hpp"

TELEMETRY_FUNCTION(telemetry_get_quantile) {
    const double fraction = PG_GETARG_FLOAT8(1);
    if (!(fraction >= 0 && fraction <= 1))  // NaN too
        throw postgres::Error(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, "fraction is out of range",
                              "The fraction is " + std::to_string(fraction) + ".",
                              "Give a number from 0 to 1: 0.5 for the median, 0.95 for the value that 5 % exceed.");
    const summary::Summary argument = summary::summary_argument(fcinfo);
    if (!argument.sketch) PG_RETURN_NULL();
    PG_RETURN_FLOAT8(summary::quantile(argument.statistics, *argument.sketch, fraction));
}
