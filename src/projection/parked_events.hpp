// Reads and writes telemetry.parked_event: the events that a projection has put aside.
#pragma once

#include <cstdint>

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/identifiers.hpp"
#include "postgres/types.hpp"

namespace projection {

// An event on which a projection fails, and why.
struct Poison {
    model::EventId event;
    int sqlstate;
    std::string message;
};

// The statistics of a projection that lack events.
struct Generation {
    std::string_view projection;
    std::int32_t number;
};

void park_event(const Generation& generation, model::BatchId batch, const Poison& poison);
void unpark_event(const Generation& generation, model::EventId event);

// The event has failed again, and is not due any more.
void keep_parked(const Generation& generation, const Poison& poison);

// Due events of one batch, ascending, at most so many. Empty: none is due.
struct DueEvents {
    model::BatchId batch;
    std::vector<model::EventId> events;
};
DueEvents find_due_events(const Generation& generation, std::int64_t most);

// No event of the projection is due any more.
void end_replay(std::string_view projection);

// Forgets events of generations without a cursor.
void forget_gone_generations(std::string_view projection);

// The ids of all events that it lacks, ascending, as `snapshot` shows them.
std::vector<model::EventId> find_parked_events(const Generation& generation, ::Snapshot snapshot);

}  // namespace projection
