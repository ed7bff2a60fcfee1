// Keeping what a batch refuses.
#pragma once

#include "ingest/command.hpp"

namespace ingest {

// Stores the refused readings of a call in telemetry.rejected_readings, in the caller's transaction. `call_site` names the
// place in the plan that calls: a repeat of the same call from another place, in the same command, stores nothing more.
void quarantine(const Verdicts& verdicts, const Request* requests, const void* call_site);

}  // namespace ingest
