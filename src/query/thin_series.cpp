// SQL function thinned: chooses points of a series.
#include <string_view>
#include <vector>

#include "model/thinning.hpp"
#include "postgres/array.hpp"
#include "postgres/entry_point.hpp"
#include "postgres/error.hpp"
#include "postgres/sql_function.hpp"

#include "postgres/pg.hpp"

namespace query {
namespace {

// The elements of an array without NULL, which live as long as the arguments.
struct Elements {
    const void* first;
    int count;
};

// P.
Elements elements_of(FunctionCallInfo fcinfo, int argument) {
    ArrayType* array = PG_GETARG_ARRAYTYPE_P(argument);
    if (ARR_HASNULL(array) || ARR_NDIM(array) > 1) elog(ERROR, "argument %d of thinned() is malformed", argument);
    return {ARR_DATA_PTR(array), ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array))};
}

// P.
Datum array_of(const std::size_t* numbers, std::size_t count) {
    auto* elements = static_cast<Datum*>(palloc(sizeof(Datum) * (count + 1)));
    for (std::size_t i = 0; i < count; ++i) elements[i] = Int32GetDatum(static_cast<std::int32_t>(numbers[i] + 1));
    return postgres::array_datum(elements, static_cast<int>(count), INT4OID);
}

}  // namespace
}  // namespace query

TELEMETRY_FUNCTION(telemetry_thin_series) {
    struct Arguments {
        query::Elements times, values, minima, maxima;
    };
    const Arguments sent = postgres::guarded([fcinfo] {
        return Arguments{query::elements_of(fcinfo, 0), query::elements_of(fcinfo, 1), query::elements_of(fcinfo, 2),
                         query::elements_of(fcinfo, 3)};
    });
    std::vector<model::SeriesPoint> points(static_cast<std::size_t>(sent.times.count));
    for (std::size_t i = 0; i < points.size(); ++i)
        points[i] = {static_cast<const model::Micros*>(sent.times.first)[i], static_cast<const double*>(sent.values.first)[i],
                     static_cast<const double*>(sent.minima.first)[i], static_cast<const double*>(sent.maxima.first)[i]};
    const auto most = static_cast<std::size_t>(PG_GETARG_INT32(4));
    const bool keeps_shape = postgres::text_argument(fcinfo, 5) == "lttb";
    const std::vector<std::size_t> kept =
        keeps_shape ? model::thin_by_triangles(points, most) : model::thin_by_extremes(points, most);
    return postgres::guarded([&kept] { return query::array_of(kept.data(), kept.size()); });
}
