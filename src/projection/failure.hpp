// Records and clears failures of consumers, in telemetry.projection_failure.
#pragma once

#include <exception>
#include <span>
#include <string>
#include <string_view>

#include "postgres/types.hpp"

namespace projection {

struct ProjectionFailure {
    std::string consumer;  // a projection or kBatches
    int sqlstate;
    std::string message;
};

// Describes the exception as a failure of the consumer.
ProjectionFailure failure_of(std::string_view consumer, const std::exception_ptr& cause);

// Was the pass cancelled or shut down, so that the exception says nothing about the consumer? Only in a catch block.
bool is_interruption();

// Counts a failure, in a transaction of its own. No other transaction is open.
void record_failure(const ProjectionFailure& failure);

// Records, in the transaction of their pass, that these consumers have succeeded. False: no other consumer is failing.
bool clear_failures(std::span<const std::string> consumers, ::Snapshot snapshot);

}  // namespace projection
