// Sessions find the slot of their database once, and poke the launcher if no worker has attached itself to it.
#include "runtime/presence_in_slots.hpp"

#include "runtime/rest.hpp"
#include "runtime/role_lock.hpp"
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

// The slot of the worker of this database, or null.
WorkerSlot* find_attached(Role role) noexcept {
    if (!is_ours(known_slot_number)) return nullptr;
    WorkerSlot& slot = slot_of(shared_state()->slots[known_slot_number], role);
    return pg_atomic_read_u32(&slot.procno) == kNoProcess ? nullptr : &slot;
}

class PresenceInSlots final : public WorkerPresence {
public:
    void prepare_to_wake(Role) const override {
        if (!is_ours(known_slot_number)) known_slot_number = find_slot_number(MyDatabaseId);
    }

    void wake(Role role) const noexcept override {
        if (WorkerSlot* slot = find_attached(role)) return tell_news(*slot);
        const SteadyTime now = steady_time();
        if (!is_wanted(role) || now - last_poke_at < kPokeInterval) return;
        last_poke_at = now;
        poke_launcher(MyDatabaseId);
    }

    // The launcher does it.
    void start_missing(Role) const override {}

    void tell_installed() const noexcept override {
        last_poke_at = steady_time();
        poke_launcher(MyDatabaseId);
    }

    WorkerStatus status(Role role) const override { return worker_status(MyDatabaseId, role); }

    bool take(Role role) const override { return attach_worker(role) && take_role_lock(role); }
    void report_arrived(Role) const noexcept override {}
    void report_running(Role role) const noexcept override { runtime::report_running(role); }
    void report_failing(Role role, const char* text) const noexcept override { runtime::report_failing(role, text); }
    void leave(Role role, WorkerEnd end) const noexcept override { detach_worker(role, end); }
};

constinit const PresenceInSlots kPresence;

}  // namespace

const WorkerPresence& presence_in_slots() noexcept {
    return kPresence;
}

}  // namespace runtime
