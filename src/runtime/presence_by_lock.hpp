// The presence of workers on a server that does not preload the library. There is no launcher, and there are no slots.
//
// A session finds the projector in the lock table, by the lock of its role, and starts it. No worker of another role runs
// there. src/worker/README.md has the protocol ("On demand, without preloading").
#pragma once

#include "runtime/worker_presence.hpp"

namespace runtime {

// The text that a worker that cannot work shows in pg_stat_activity, before the reason.
inline constexpr const char* kActivityOfFailing = "waits: ";

const WorkerPresence& presence_by_lock() noexcept;

}  // namespace runtime
