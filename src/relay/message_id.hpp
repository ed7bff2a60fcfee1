// The id by which a stream of NATS JetStream recognises a message that it has already: <event id>-<hash of the payload>, such
// as 12-726fdb47dd0e0e31.
//
//   - A retry has the same id, because the same event has the same payload. So the stream drops it, as long as the retry comes
//     within the stream's duplicate window. An update of the extension that changes the JSON of events changes the ids, too.
//   - Another event has another id. The event id tells events of one log apart. It comes again when a log loses its end: after
//     a restore, a recovery to an earlier time, or a fail-over to a standby that lagged. The sequence then gives out the lost
//     numbers anew. But the payload of the new event differs: it holds received_at in microseconds, the device and the values.
//   - Two copies of one log publish equal events under equal ids, and the stream keeps one of each.
//
// The hash has 64 bits and is compared only where event ids are equal, so one in 2^64 such pairs goes wrong. Its key is fixed
// and known: the id protects against accidents. Consumers see the id, and may rely on it beyond the duplicate window.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "model/identifiers.hpp"

namespace relay {

inline constexpr std::size_t kMaxMessageIdSize = 20 + 1 + 16;

void append_message_id(std::string& id, model::EventId event_id, std::string_view payload);

}  // namespace relay
