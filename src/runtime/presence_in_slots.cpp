// Sessions find the slot of their database once, and poke the launcher if no worker has attached itself to it.
#include "runtime/presence_in_slots.hpp"

#include "runtime/rest.hpp"
#include "runtime/seat_lock.hpp"
#include "runtime/settings.hpp"
#include "runtime/steady_time.hpp"

#include "postgres/pg.hpp"

namespace runtime {
namespace {

int known_slot_number = -1;  // where this database was found last
SteadyTime last_poke_at = 0;

constexpr SteadyTime kPokeInterval = USECS_PER_SEC;

bool is_ours(int slot_number) noexcept {
    return slot_number >= 0 && pg_atomic_read_u32(&shared_state()->slots[slot_number].database) == MyDatabaseId;
}

// Tells the workers of a role in this database. False: there is none.
bool tell_workers(Role role) noexcept {
    if (!is_ours(known_slot_number)) return false;
    bool has_some = false;
    for (int number = 0; number < workers_of(role); ++number) {
        WorkerSlot& slot = slot_of(shared_state()->slots[known_slot_number], Seat(role, number));
        if (pg_atomic_read_u32(&slot.procno) == kNoProcess) continue;
        tell_news(slot);
        has_some = true;
    }
    return has_some;
}

class PresenceInSlots final : public WorkerPresence {
public:
    void prepare_to_wake(Role) const override {
        if (!is_ours(known_slot_number)) known_slot_number = find_slot_number(MyDatabaseId);
    }

    void wake(Role role) const noexcept override {
        if (tell_workers(role)) return;
        const SteadyTime now = steady_time();
        if (role == Role::kHttp || !is_wanted(role) || now - last_poke_at < kPokeInterval) return;
        last_poke_at = now;
        poke_launcher(MyDatabaseId);
    }

    // The launcher does it.
    void start_missing(Role) const override {}

    void tell_installed() const noexcept override {
        last_poke_at = steady_time();
        poke_launcher(MyDatabaseId);
    }

    WorkerStatus status(Seat seat) const override { return worker_status(MyDatabaseId, seat); }

    bool take(Seat seat) const override { return attach_worker(seat) && take_seat_lock(seat); }
    void report_arrived(Seat) const noexcept override {}
    void report_running(Seat seat) const noexcept override { runtime::report_running(seat); }
    void report_failing(Seat seat, const char* text) const noexcept override { runtime::report_failing(seat, text); }
    void leave(Seat seat, WorkerEnd end) const noexcept override { detach_worker(seat, end); }
};

constinit const PresenceInSlots kPresence;

}  // namespace

const WorkerPresence& presence_in_slots() noexcept {
    return kPresence;
}

}  // namespace runtime
