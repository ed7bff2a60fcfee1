// The projector: the process that keeps the read models of one database.
#pragma once

#include "postgres/background_worker.hpp"

namespace worker {

// Its argument is the database's oid. It ends with "absent" in the shared slot where the extension is not there.
inline constexpr postgres::WorkerProgram kProjector{"telemetry_projector_main", "telemetry_cqrs projector"};

}  // namespace worker
