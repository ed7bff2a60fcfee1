// Reads the options of calls with many readings.
#include "ingest/batch_options.hpp"

#include <string_view>
#include <utility>

#include "error_codes.hpp"
#include "ingest/refused.hpp"
#include "model/name_text.hpp"
#include "postgres/sql_function.hpp"

#include "postgres/pg.hpp"

namespace ingest {

void refuse_batch(std::string detail, std::string hint) {
    raise(refuse_reading(0, {error_codes::kInvalidBatch, "the call is malformed", std::move(detail), std::move(hint)}), 0,
          false);
}

OnError on_error_of(FunctionCallInfo fcinfo, int number) {
    if (PG_ARGISNULL(number))
        refuse_batch("on_error is NULL.", "Use 'quarantine' or 'abort', or leave it out, which means 'quarantine'.");
    const std::string_view option = postgres::text_argument(fcinfo, number);
    if (option == "quarantine") return OnError::kCollect;
    if (option == "abort") return OnError::kRaise;
    refuse_batch("on_error is " + model::quoted_for_message(option) + ".", "Use 'quarantine' or 'abort'.");
}

model::TimeUnit time_unit_of(FunctionCallInfo fcinfo, int number) {
    if (PG_ARGISNULL(number)) return model::TimeUnit::kNone;
    const std::string_view unit = postgres::text_argument(fcinfo, number);
    if (unit == "s") return model::TimeUnit::kSeconds;
    if (unit == "ms") return model::TimeUnit::kMilliseconds;
    if (unit == "us") return model::TimeUnit::kMicroseconds;
    if (unit == "ns") return model::TimeUnit::kNanoseconds;
    refuse_batch("time_unit is " + model::quoted_for_message(unit) + ".",
                 "Use 's', 'ms', 'us' or 'ns' for times that are numbers since 1970, or NULL for times that are texts.");
}

}  // namespace ingest
