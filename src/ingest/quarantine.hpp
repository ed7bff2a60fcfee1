// The quarantine keeps the readings that an array call refuses.
#pragma once

#include "ingest/command.hpp"

namespace ingest {

// Stores the refused readings of a call in telemetry.rejected_readings, in the caller's transaction. A query such as `SELECT
// (ingest_telemetry_batch(...)).*` makes the same call once for each column. `call_site` tells these calls apart, and only the
// first one stores.
void quarantine(const Verdicts& verdicts, const Request* requests, const void* call_site);

}  // namespace ingest
