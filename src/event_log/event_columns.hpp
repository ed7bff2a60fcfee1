// Columns of telemetry.event and its segments, in the order of the install script, counted from 0.
#pragma once

namespace event_log {

enum EventColumn {
    kEventId,
    kXid,
    kMeasuredAt,
    kReceivedAt,
    kTemperature,
    kHumidity,
    kRequestDigest,
    kFingerprint,
    kEpoch,
    kVersion,
    kType,
    kDeviceId,
    kRegion,
    kIdempotencyKey,
    kMetrics,
    kEventColumns
};

}  // namespace event_log
