// Telling listeners about a batch.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "model/event.hpp"
#include "model/identifiers.hpp"

namespace projection {

// The payload, as the setting telemetry_cqrs.notify_payload wants it; empty where nothing is to be told. `readings` are all of
// the batch, or none where they are not at hand. In a database that is not UTF8 they are told only where all their texts are
// ASCII.
std::string notification_of(model::BatchId batch, model::Epoch epoch, std::int64_t events,
                            std::span<const model::Event> readings);

// Server code (P), in a transaction that writes nothing: its commit sends the payload.
void notify(const char* payload);

}  // namespace projection
