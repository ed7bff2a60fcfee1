// The projector as others know it: its program, the lock that makes it the only one of its database, and, where there is no
// shared memory of ours, finding and starting it.
#pragma once

#include <cstdint>

#include "postgres/background_worker.hpp"

namespace runtime {

// Its argument is the database's oid. It ends with "absent" in the shared slot where the extension is not there.
inline constexpr postgres::WorkerProgram kProjectorProgram{"telemetry_projector_main", "telemetry_cqrs projector"};

// What a projector that cannot work says in pg_stat_activity, followed by the reason.
inline constexpr const char* kActivityOfFailing = "waits: ";

// For the projector: takes the lock for the life of the process. False: there is another one. P, inside a transaction.
bool become_only_projector();

struct ProjectorProcess {
    std::uint32_t procno;  // kNoProcess: none
    int pid;
};

// Who holds that lock in this database, by a look through the whole lock table.
ProjectorProcess find_projector();

// Is it still that process, and of this database?
bool is_there(const ProjectorProcess& projector) noexcept;

// Starts a projector in this database, which is then on its way for some milliseconds. True too if somebody else has just done
// that. False where none can be started, which is logged once a minute at most. For a database where none was found.
bool start_projector();

// For the projector that leaves, outside any transaction: gives the lock back, so that a successor does not find it taken.
void step_down();

// After step_down(): starts the successor.
void start_successor();

}  // namespace runtime
