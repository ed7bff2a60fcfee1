// Walking a jsonb object of numbers. This file is written wholly in P.
#include "event_log/metrics.hpp"

#include "postgres/numeric.hpp"

#include "postgres/pg.hpp"

namespace event_log {
Metrics read_metrics(Jsonb* metrics) {
    Metrics result{MetricsShape::kObjectOfNumbers, nullptr, nullptr, 0, 0};
    if (metrics == nullptr) return result;
    if (!JB_ROOT_IS_OBJECT(metrics)) {
        result.shape = MetricsShape::kNotAnObject;
        return result;
    }
    result.members = static_cast<int>(JB_ROOT_COUNT(metrics));
    result.items = static_cast<model::Metric*>(palloc(sizeof(model::Metric) * (JB_ROOT_COUNT(metrics) + 1)));
    JsonbIterator* iterator = JsonbIteratorInit(&metrics->root);
    JsonbValue name, value;
    JsonbIteratorToken token = JsonbIteratorNext(&iterator, &name, true);  // WJB_BEGIN_OBJECT
    while ((token = JsonbIteratorNext(&iterator, &name, true)) == WJB_KEY) {
        JsonbIteratorNext(&iterator, &value, true);
        if (value.type == jbvNull) continue;
        if (value.type != jbvNumeric) {
            result.shape = MetricsShape::kNotANumber;
            result.offender = pnstrdup(name.val.string.val, name.val.string.len);
            break;
        }
        const double number = postgres::to_double(value.val.numeric);
        if (number == 0 && !postgres::is_zero(value.val.numeric)) {
            result.shape = MetricsShape::kTooNearZero;
            result.offender = pnstrdup(name.val.string.val, name.val.string.len);
        }
        result.items[result.count++] = {{name.val.string.val, static_cast<size_t>(name.val.string.len)}, number};
    }
    return result;
}

}  // namespace event_log
