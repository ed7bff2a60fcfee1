// Builds and sends the notification that tells listeners about a batch.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "model/event.hpp"
#include "model/identifiers.hpp"

namespace projection {

// Builds the payload that the setting telemetry_cqrs.notify_payload asks for; empty: there is nothing to send. `readings` are
// all of the batch, or none if the caller does not have them. In a database that is not UTF8, the payload has readings only if
// all their texts are ASCII.
std::string notification_of(model::BatchId batch, model::Epoch epoch, std::int64_t events,
                            std::span<const model::Event> readings);

// P. The commit of the caller's transaction sends the payload. That transaction writes nothing else.
void notify(const char* payload);

}  // namespace projection
