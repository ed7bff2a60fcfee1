// The projector rests between two passes while events come in, so that one pass serves several commits. Meanwhile no commit
// wakes it, which saves every commit a system call. A session that waits for a pass ends the rest.
//
// No wake-up is lost, because commit and projector change the same word of shared memory, and each change is a memory barrier:
// - A commit becomes visible, sets `kNews`, and sets the latch unless the projector rested at that moment.
// - The projector clears `kNews` before it takes a snapshot. When its rest ends, it sets its own latch if there is news.
// So a commit is shown by the snapshot, or it has set the latch, or it has left news for the end of the rest.
#pragma once

#include "runtime/shared_state.hpp"

namespace runtime {

// For the projector, at the beginning of a turn, after it has reset its latch. Without shared memory it does nothing.
void begin_listening() noexcept;

// For the projector. Waits, at most `milliseconds`, for a session that wants a pass, or for a signal. If either came, or a
// commit meanwhile, or the latch was set before, the latch is set afterwards. Returns false without shared memory: it did not
// wait.
bool rest_until_wanted(long milliseconds);

// For a worker of another seat: while it wants no news, no commit sets its latch. Without shared memory it does nothing.
void want_news(Seat seat, bool is_wanted) noexcept;

// For a commit that left events. Sets the latch of the slot's worker unless it rests or wants no news.
void tell_news(WorkerSlot& slot) noexcept;

// For a session that waits for a pass: the projector rests no longer, and does not rest after the pass that it is making.
void end_rest_of_projector() noexcept;

}  // namespace runtime
