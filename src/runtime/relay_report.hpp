// What the relay of a database says of its sinks, in shared memory.
#pragma once

#include "runtime/shared_state.hpp"

namespace runtime {

const char* name_of(SinkCondition condition) noexcept;
const char* name_of(RelaySink sink) noexcept;

// For the relay of `MyDatabaseId`. Texts are cut. Nothing is raised.
void report_sink(RelaySink sink, const SinkReport& report) noexcept;

// Copies what the slot of this database says. Without a slot it says "stopped".
SinkReport sink_report(RelaySink sink) noexcept;

}  // namespace runtime
