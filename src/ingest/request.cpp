// Reads the metrics of requests. This file is written wholly in P.
#include "ingest/request.hpp"

#include "postgres/pg.hpp"

namespace ingest {

void set_metrics(Request& request, Jsonb* sent) {
    request.metrics = {nullptr, 0, postgres::NumbersShape::kObjectOfNumbers, nullptr, 0};
    if (sent == nullptr || postgres::is_json_null(sent)) return;
    request.metrics.value = sent;
    if (postgres::size_of(sent) > kMaxMetricsSize) {
        request.metrics.excess_size = postgres::size_of(sent);
        return;
    }
    const auto numbers = postgres::read_numbers<model::Metric>(sent);
    request.metrics.shape = numbers.shape;
    request.metrics.offender = numbers.offender;
    request.metrics.member_count = numbers.member_count;
    request.reading.metrics = {numbers.items, static_cast<std::size_t>(numbers.count)};
}

}  // namespace ingest
