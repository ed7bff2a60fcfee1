// Applies the rules in the order of Refusal.
#include "model/judge.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace model {
namespace {

constexpr Micros kInfinity = std::numeric_limits<Micros>::max();

Micros latest_measured_at(Micros received_at, Micros max_ahead) noexcept {
    Micros latest;
    if (__builtin_add_overflow(received_at, max_ahead, &latest) || latest == kInfinity) return kInfinity - 1;
    return latest;
}

Micros earliest_measured_at(Micros received_at, Micros max_age) noexcept {
    Micros earliest;
    return __builtin_sub_overflow(received_at, max_age, &earliest) ? kEarliestMeasuredAt : earliest;
}

Decision decision_of(LimitAction action) noexcept {
    switch (action) {
        case LimitAction::kReject:
            break;
        case LimitAction::kClamp:
            return Decision::kClamp;
        case LimitAction::kQuarantine:
            return Decision::kQuarantine;
    }
    return Decision::kRefuse;
}

Refusal refusal_of_values(const Reading& reading, const Policy& policy, Utf8Conversion to_utf8) {
    if (reading.temperature && !std::isfinite(*reading.temperature)) return Refusal::kTemperature;
    if (reading.humidity && !std::isfinite(*reading.humidity)) return Refusal::kHumidity;
    if (reading.metrics.size() > policy.max_metrics) return Refusal::kTooManyMetrics;
    for (const Metric& metric : reading.metrics)
        if (!is_metric_name(metric.name, to_utf8)) return Refusal::kMetricName;
    for (const Metric& metric : reading.metrics)
        if (!std::isfinite(metric.value)) return Refusal::kMetricValue;
    if (value_out_of_limits(reading, policy)) return Refusal::kOutOfLimits;
    return Refusal::kNone;
}

// An infinity is no time, so no policy helps it.
Judgement judge_time(Micros measured_at, Micros received_at, const Policy& policy) noexcept {
    if (measured_at < kEarliestMeasuredAt) return {Decision::kRefuse, Refusal::kTooEarly};
    if (measured_at == kInfinity) return {Decision::kRefuse, Refusal::kTooFarAhead};
    if (measured_at > latest_measured_at(received_at, policy.max_ahead))
        return {decision_of(policy.ahead_action), Refusal::kTooFarAhead};
    if (policy.max_age && measured_at < earliest_measured_at(received_at, *policy.max_age))
        return {decision_of(policy.age_action), Refusal::kTooOld};
    return {Decision::kAccept, Refusal::kNone};
}

}  // namespace

std::optional<ValueOutOfLimits> value_out_of_limits(const Reading& reading, const Policy& policy) noexcept {
    if (policy.limits_of == nullptr) return std::nullopt;
    const auto limits_broken_by = [&policy](const Metric& metric) -> const MetricLimits* {
        const MetricLimits* limits = policy.limits_of(metric.name);
        return limits == nullptr || limits->allow(metric.value) ? nullptr : limits;
    };
    if (reading.temperature) {
        const Metric temperature{kTemperatureName, *reading.temperature};
        if (const auto* limits = limits_broken_by(temperature)) return ValueOutOfLimits{temperature, limits};
    }
    if (reading.humidity) {
        const Metric humidity{kHumidityName, *reading.humidity};
        if (const auto* limits = limits_broken_by(humidity)) return ValueOutOfLimits{humidity, limits};
    }
    for (const Metric& metric : reading.metrics)
        if (const auto* limits = limits_broken_by(metric)) return ValueOutOfLimits{metric, limits};
    return std::nullopt;
}

Refusal refusal_of(const DeviceNames& names, Utf8Conversion to_utf8) {
    if (!is_device_id(names.device_id, to_utf8)) return Refusal::kDeviceId;
    if (names.region && !is_region(*names.region, to_utf8)) return Refusal::kRegion;
    return Refusal::kNone;
}

Judgement judge(const Reading& reading, Micros received_at, const Policy& policy, Utf8Conversion to_utf8) {
    Refusal reason = refusal_of(DeviceNames{reading.device_id, reading.region}, to_utf8);
    if (reason == Refusal::kNone && reading.idempotency_key && !is_key(*reading.idempotency_key, to_utf8))
        reason = Refusal::kKey;
    if (reason == Refusal::kNone) reason = refusal_of_values(reading, policy, to_utf8);
    if (reason != Refusal::kNone) return {Decision::kRefuse, reason};
    if (reading.measured_at) return judge_time(*reading.measured_at, received_at, policy);
    return {Decision::kAccept, Refusal::kNone};
}

}  // namespace model
