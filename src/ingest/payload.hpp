// A refused reading as telemetry.rejected_readings keeps it. This file is written wholly in P.
#pragma once

#include "ingest/command.hpp"

#include "postgres/pg.hpp"

namespace ingest {

// The reading as sent; what was not sent is left out. A text is cut to 4,096 bytes and metrics of more than 64 kB are left
// out: then a member "truncated" says how many bytes each of them had.
Jsonb* payload_of(const Request& request);

}  // namespace ingest
