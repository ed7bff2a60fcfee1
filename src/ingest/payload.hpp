// A refused reading as telemetry.rejected_readings keeps it. This file is written wholly in P.
#pragma once

#include "ingest/request.hpp"

#include "postgres/pg.hpp"

namespace ingest {

// The reading as the client sent it, without members for what the client left out. A text is cut to 4,096 bytes, and metrics
// of more than 64 kB are dropped. In that case a member "truncated" says how many bytes each of them had.
Jsonb* payload_of(const Request& request);

}  // namespace ingest
