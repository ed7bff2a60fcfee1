// Restricts read_events(), for a handler that gets only some events of its batch.
#pragma once

#include <cstdint>

#include <span>
#include <vector>

#include "feed/batch.hpp"
#include "model/identifiers.hpp"
#include "postgres/types.hpp"

namespace feed {

// The ids of the batch's events of any type, in the order in which consumers get them.
std::vector<model::EventId> event_ids_of(const Batch& batch, ::Snapshot snapshot);

// While it lives, read_events() in this process returns of this batch only these events. `events` ascends, and outlives it.
// There is one at a time.
class SelectedEvents {
public:
    SelectedEvents(model::BatchId batch, std::span<const model::EventId> events) noexcept;
    ~SelectedEvents();
    SelectedEvents(const SelectedEvents&) = delete;
    SelectedEvents& operator=(const SelectedEvents&) = delete;
};

bool is_selected(model::BatchId batch, std::int64_t event_id) noexcept;

}  // namespace feed
