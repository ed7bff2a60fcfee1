// Builds and sends the notification that tells listeners about a batch.
#pragma once

#include <string>

#include "feed/batch.hpp"
#include "postgres/types.hpp"

namespace projection {

// Builds the payload that the setting telemetry_cqrs.notify_payload asks for; empty: there is nothing to send. Where the
// payload shall have the batch's events, they are read under `snapshot`. In a database that is not UTF8, the payload has them
// only if all their texts are ASCII.
std::string notification_of(const feed::Batch& batch, ::Snapshot snapshot);

// P. The commit of the caller's transaction sends the payload. That transaction writes nothing else.
void notify(const char* payload);

}  // namespace projection
