// Sessions start the projector where there is no launcher. The start record (start_record.hpp) keeps them from all trying at
// once.
#pragma once

namespace runtime {

// Starts a projector in this database, after a look has found none. It needs some milliseconds until it can be found. Returns
// true also if another session has just started one. Returns false if none can be started, and logs that once a minute at most.
bool start_projector();

// For CREATE EXTENSION and ALTER EXTENSION UPDATE, after the commit. Starts a projector if one was wanted before: if
// `is_on_its_way`, or if the start record says so.
void start_projector_wanted_before(bool is_on_its_way) noexcept;

// For a projector that has given back its lock. Starts its successor.
void start_successor() noexcept;

// Why a worker cannot be started, where the server has no room for it.
inline constexpr const char* kNoWorkerSlot = "All background worker slots of the server are in use.";

// P. Logs that a database gets no worker. `reason` is a sentence, for the detail.
void log_missing_slot(const char* database, const char* reason);

}  // namespace runtime
