// The projector as other processes know it: the lock that makes it the only one of its database.
//
// Without the extension's shared memory, sessions find the projector by that lock and start it themselves.
#pragma once

#include <cstdint>

#include "runtime/role.hpp"

namespace runtime {

// The text that a projector that cannot work shows in pg_stat_activity, before the reason.
inline constexpr const char* kActivityOfFailing = "waits: ";

// For the projector, inside a transaction. P. Takes the lock for the life of the process. False if another projector holds it.
bool become_only_projector();

struct ProjectorProcess {
    std::uint32_t procno;  // kNoProcess: none
    int pid;
};

// Finds the process that holds that lock in this database. It reads the whole lock table.
ProjectorProcess find_projector();

// True while that process lives and serves this database.
bool is_there(const ProjectorProcess& projector) noexcept;

// Starts a projector in this database, after a look has found none. It needs some milliseconds until it can be found. Returns
// true also if another session has just started one. Returns false if none can be started, and logs that once a minute at most.
bool start_projector();

// Why a projector cannot be started, where the server has no room for it.
inline constexpr const char* kNoWorkerSlot = "All background worker slots of the server are in use.";

// P. Logs that a database gets no projector. `reason` is a sentence, for the detail.
void log_missing_slot(const char* database, const char* reason);

// For a projector that leaves, outside any transaction. Gives the lock back, so a successor can take it.
void step_down();

// Starts the successor. Call it after step_down().
void start_successor();

}  // namespace runtime
