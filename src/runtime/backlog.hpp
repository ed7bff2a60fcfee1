// Estimates how many committed events the projector has not read, in a form that a command reads without a lock.
//
// 1. Each commit of a command adds its events to `committed`, after they are visible.
// 2. A pass notes `committed` before it takes its snapshot, so the snapshot shows all of these events. A pass that finds
//    nothing more to read has read them all. Another pass adds the events that it has read.
// 3. So the figure is right each time the projector has read everything, and between these times it may miss events that no
//    command stored: those of devices that go offline, and those of COMMIT PREPARED.
// 4. After a start of the server the figure has only the events since. If telemetry_cqrs.max_backlog is set, the first pass
//    counts the others.
//
// A projection that is behind, because it is paused, fails or is rebuilt, does not count: it reads batches, and would else stop
// the writers for as long as it does.
#pragma once

#include <cstdint>
#include <optional>

#include "runtime/shared_state.hpp"
#include "runtime/steady_time.hpp"

#include "postgres/pg.hpp"

namespace runtime {

// Adds events to `committed`. For a callback after commit.
inline void count_committed(DatabaseSlot& slot, std::uint64_t events) noexcept {
    if (events != 0) pg_atomic_fetch_add_u64(&slot.backlog.committed, static_cast<int64>(events));
}

// 0 without preloading, as all figures here.
std::uint64_t committed_events() noexcept;
bool knows_backlog() noexcept;
std::int64_t backlog() noexcept;
// Events a second that the projector read in its last large pass. 0: not known.
std::uint64_t projector_speed() noexcept;

// What a pass tells.
struct ReadReport {
    std::uint64_t committed_before = 0;    // `committed_events()` before the pass took its snapshot
    std::optional<std::int64_t> measured;  // so many events waited in the snapshot
    bool has_read_on = false;              // the pass looked what is new
    bool is_complete = false;              // and read all that the snapshot shows
    std::int64_t events = 0;               // that it read
    SteadyTime begun_at = 0;
};

// When the transaction commits, the report counts. A rollback drops it.
void report_read_at_commit(const ReadReport& report) noexcept;

// Called once, by _PG_init while the server preloads the library.
void watch_passes();

}  // namespace runtime
