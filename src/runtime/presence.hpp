// Gives the presence of workers of the kind that this server has.
#pragma once

#include "runtime/worker_presence.hpp"

namespace runtime {

const WorkerPresence& worker_presence() noexcept;

}  // namespace runtime
