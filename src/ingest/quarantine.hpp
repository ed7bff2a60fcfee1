// The quarantine keeps the readings that a batch refuses.
#pragma once

#include "ingest/command.hpp"

namespace ingest {

// Stores the refused readings of a call in telemetry.rejected_readings, in the caller's transaction. `call_site` stands for the
// place in the plan that makes the call. If another place repeats the same call within the same command, the repeat stores
// nothing.
void quarantine(const Verdicts& verdicts, const Request* requests, const void* call_site);

}  // namespace ingest
