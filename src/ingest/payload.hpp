// A refused reading as telemetry.rejected_readings keeps it. This file is written wholly in P.
#pragma once

#include <cstdint>

#include "ingest/request.hpp"

#include "postgres/pg.hpp"

namespace ingest {

// The reading as the client sent it, without members for what the client left out. A text is cut to 4,096 bytes, and metrics
// of more than 64 kB are dropped. In that case a member "truncated" says how many bytes each of them had.
Jsonb* payload_of(const Request& request);

// Makes the request of a payload again. Its texts lie in the payload, and its metrics in the current memory context. False: the
// payload holds no whole reading. That is so where something was cut or left out, and where the door could not read the item.
bool read_payload(Jsonb* payload, Request& request);

// Two deliveries are the same if their payloads and their SQLSTATEs are. The column `delivery` has this number.
std::int64_t delivery_of(const Jsonb* payload, int sqlstate) noexcept;

}  // namespace ingest
