// The presence of workers on a server that preloads the library: each has a slot in shared memory, and the launcher starts it.
#pragma once

#include "runtime/worker_presence.hpp"

namespace runtime {

const WorkerPresence& presence_in_slots() noexcept;

}  // namespace runtime
