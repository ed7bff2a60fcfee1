// Failures of consumers: telemetry.projection_failure.
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

// In a catch block: what the exception says about the consumer's pass.
ProjectionFailure failure_of(event_log::Consumer consumer);

// Is the exception being handled a wish of somebody's to stop, which says nothing about the consumer?
bool is_cancellation();

// Counts a failure, in a transaction of its own. Not inside another one.
void record_failure(const ProjectionFailure& failure);

// Says that these consumers have succeeded, in the transaction of their pass. False: no consumer's last pass failed.
bool clear_failures(std::span<const event_log::Consumer> consumers, ::Snapshot snapshot);

}  // namespace projection
