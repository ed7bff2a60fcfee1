// Chooses between the two kinds of presence.
#include "runtime/presence.hpp"

#include "runtime/presence_by_lock.hpp"
#include "runtime/presence_in_slots.hpp"

namespace runtime {

const WorkerPresence& worker_presence() noexcept {
    return shared_state() != nullptr ? presence_in_slots() : presence_by_lock();
}

}  // namespace runtime
