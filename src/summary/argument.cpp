// Finds the parts of the argument, in a guard where that may raise an error, and judges them outside.
#include "summary/argument.hpp"

#include <cstdint>
#include <span>
#include <string_view>

#include "error_codes.hpp"
#include "postgres/error.hpp"
#include "postgres/text.hpp"
#include "summary/sketch_bytes.hpp"
#include "summary/stored_summary.hpp"

#include "postgres/pg.hpp"

namespace summary {

namespace {

[[noreturn]] void refuse_argument() {
    throw postgres::Error(error_codes::kCorruptSummary, "corrupt telemetry.summary", kCorruptSummaryDetail,
                          kCorruptSummaryHint);
}

std::span<const std::uint8_t> bytes_of(std::string_view view) noexcept {
    return {reinterpret_cast<const std::uint8_t*>(view.data()), view.size()};
}

}  // namespace

FoundSummary found_argument(FunctionCallInfo fcinfo, int number) {
    const Datum value = PG_GETARG_DATUM(number);
    const auto* stored = reinterpret_cast<const text*>(DatumGetPointer(value));
    // Only detoasting can raise an error. A value that is stored plainly is spared the guard, because a query asks for many.
    const bool is_plain = !VARATT_IS_COMPRESSED(stored) && !VARATT_IS_EXTERNAL(stored);
    const FoundSummary found =
        is_plain ? find_parts(bytes_of(postgres::view_of(stored))) : postgres::guarded([value] { return find_summary(value); });
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
