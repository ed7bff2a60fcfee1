// The one judgement of a reading. Each door asks for it, whatever form the reading came in.
#pragma once

#include <optional>

#include "model/names.hpp"
#include "model/policy.hpp"
#include "model/reading.hpp"

namespace model {

enum class Decision {
    kAccept,
    kClamp,       // accept it with the time of receipt as measured_at
    kQuarantine,  // keep it in the quarantine, and tell the client so without an error
    kRefuse,
};

// Why a reading is not taken as it is. The first reason in this order counts.
enum class Refusal {
    kNone,
    kDeviceId,
    kRegion,
    kKey,
    kTemperature,     // not finite
    kHumidity,        // not finite
    kTooManyMetrics,  // more than the policy allows
    kMetricName,      // also "temperature" and "humidity", which have fields of their own
    kMetricValue,     // not finite
    kOutOfLimits,     // a value beyond the limits of its metric
    kTooEarly,        // measured_at before kEarliestMeasuredAt, or -infinity
    kTooFarAhead,     // measured_at after received_at + max_ahead, or infinity
    kTooOld,          // measured_at before received_at - max_age
};

struct Judgement {
    Decision decision;
    Refusal reason;  // also of a clamped reading
};

// Judges a reading as it was sent. A reading without any value is accepted, because it says that the device is alive. It may
// throw what `to_utf8` throws.
Judgement judge(const Reading& reading, Micros received_at, const Policy& policy, Utf8Conversion to_utf8 = nullptr);

// The same for the names of a device that is registered: kNone, kDeviceId or kRegion.
Refusal refusal_of(const DeviceNames& names, Utf8Conversion to_utf8 = nullptr);

// A value beyond the limits of its metric.
struct ValueOutOfLimits {
    Metric metric;
    const MetricLimits* limits;
};

// The first such value: of temperature, of humidity, of the metrics. Nothing: there is none.
std::optional<ValueOutOfLimits> value_out_of_limits(const Reading& reading, const Policy& policy) noexcept;

}  // namespace model
