// Holds what a pass knows once it has its snapshot.
#pragma once

#include <exception>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/identifiers.hpp"
#include "model/snapshot.hpp"
#include "postgres/subtransaction.hpp"
#include "postgres/types.hpp"
#include "projection/consumer.hpp"
#include "projection/failure.hpp"
#include "projection/pass.hpp"
#include "runtime/installed.hpp"

namespace projection {

struct PassContext {
    ::Snapshot snapshot;
    model::Micros taken_at;   // just before the snapshot
    model::Snapshot present;  // `snapshot` as the model has it
    runtime::LogPlace here;
    bool is_careful;                  // each consumer's writes have a subtransaction
    std::vector<Consumer> consumers;  // once the registry is read
};

// Runs a step for one consumer. In a careful pass the failure of the step is that consumer's alone. False: it failed so.
template <typename Body>
bool attempt(const PassContext& context, std::string_view consumer, Pass& pass, Body&& body) {
    if (!context.is_careful) {
        body();
        return true;
    }
    try {
        postgres::in_subtransaction(body);
        return true;
    } catch (const std::exception&) {
        if (is_interruption()) throw;
        pass.failures.push_back({std::string(consumer), std::current_exception()});
        return false;
    }
}

}  // namespace projection
