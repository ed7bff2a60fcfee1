// What a notification on channel telemetry_ingested carries: always the batch, and its events where they fit.
//
//   {"v":1,"batch":7,"epoch":1,"count":1,"events":[{"id":12,"type":"telemetry.ingested","device_id":"sensor-1","region":"eu-west",
//    "measured_at":"2026-01-02T03:04:05.000000Z","received_at":"2026-01-02T03:04:05.200000Z","temperature":21.5,
//    "humidity":40.25,"metrics":{"co2":412}}]}
//
// An absent value (or region, or all metrics) is left out. The payload is ASCII, other characters are escaped: a listener whose
// encoding has no sign for one of them would lose its connection. The truth is read_events(batch), also when "events" is
// missing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "model/event.hpp"
#include "model/identifiers.hpp"

namespace model {

inline constexpr int kNotificationVersion = 1;
inline constexpr std::size_t kMaxNotificationSize = 7999;  // bytes, the server's limit

// `events` are those of the batch, `count` many, in UTF-8. With fewer, or beyond `limit` bytes, the payload has none of them.
std::string notification_payload(BatchId batch, Epoch epoch, std::int64_t count, std::span<const Event> events,
                                 std::size_t limit = kMaxNotificationSize);

}  // namespace model
