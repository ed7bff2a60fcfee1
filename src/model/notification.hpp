// The payload of a notification on channel telemetry_ingested. It always names the batch, and carries the batch's events where
// they fit.
//
//   {"v":1,"batch":7,"epoch":1,"count":1,"events":[{"id":12,"type":"telemetry.ingested","device_id":"sensor-1","region":"eu-west",
//    "measured_at":"2026-01-02T03:04:05.000000Z","received_at":"2026-01-02T03:04:05.200000Z","temperature":21.5,
//    "humidity":40.25,"metrics":{"co2":412}}]}
//
// A member is missing where the event has no such value, no region or no metrics. The payload is ASCII, and all other
// characters are escaped: a listener whose encoding lacks one of them would lose its connection. read_events(batch) gives the
// events also when "events" is missing.
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

// `events` are all `count` events of the batch, in UTF-8. If there are fewer, or if they exceed `limit` bytes, the payload has
// none.
std::string notification_payload(BatchId batch, Epoch epoch, std::int64_t count, std::span<const Event> events,
                                 std::size_t limit = kMaxNotificationSize);

}  // namespace model
