// Records and clears failures of consumers, in telemetry.projection_failure.
#pragma once

#include <span>
#include <string>

#include "event_log/checkpoint.hpp"
#include "postgres/types.hpp"

namespace projection {

struct ProjectionFailure {
    event_log::Consumer consumer;
    int sqlstate;
    std::string message;
};

// Describes the exception that is being handled, as a failure of the consumer's pass. Only in a catch block.
ProjectionFailure failure_of(event_log::Consumer consumer);

// Was the pass cancelled or shut down, so that the exception says nothing about the consumer? Only in a catch block.
bool is_interruption();

// Counts a failure, in a transaction of its own. No other transaction is open.
void record_failure(const ProjectionFailure& failure);

// Records, in the transaction of their pass, that these consumers have succeeded. False: no other consumer is failing.
bool clear_failures(std::span<const event_log::Consumer> consumers, ::Snapshot snapshot);

}  // namespace projection
