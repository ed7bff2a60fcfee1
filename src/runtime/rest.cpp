// The flags of a slot's word `rest`.
#include "runtime/rest.hpp"

#include "postgres/background_worker.hpp"

#include "postgres/pg.hpp"

namespace runtime {
namespace {

constexpr uint32 kResting = 1U << 0;
constexpr uint32 kNews = 1U << 1;    // a commit left events since the projector's last turn began
constexpr uint32 kWanted = 1U << 2;  // a session has waited for a pass since then

// The slot of the projector that calls this. A slot with a projector stays where it is.
WorkerSlot* projectors_slot() noexcept {
    static WorkerSlot* slot = nullptr;
    if (slot != nullptr || shared_state() == nullptr) return slot;
    const int number = find_slot_number(MyDatabaseId);
    if (number >= 0) slot = &slot_of(shared_state()->slots[number], Role::kProjector);
    return slot;
}

// Sets the flag for the length of a scope.
class Resting {
public:
    explicit Resting(WorkerSlot& slot) noexcept : slot_(slot), before_(pg_atomic_fetch_or_u32(&slot.rest, kResting)) {}
    Resting(const Resting&) = delete;
    Resting& operator=(const Resting&) = delete;
    ~Resting() {
        if ((pg_atomic_fetch_and_u32(&slot_.rest, ~kResting) & (kNews | kWanted)) != 0) SetLatch(MyLatch);
    }

    bool is_wanted() const noexcept { return (before_ & kWanted) != 0; }

private:
    WorkerSlot& slot_;
    uint32 before_;
};

}  // namespace

void begin_listening() noexcept {
    if (WorkerSlot* slot = projectors_slot()) pg_atomic_exchange_u32(&slot->rest, 0);
}

bool rest_until_wanted(long milliseconds) {
    WorkerSlot* slot = projectors_slot();
    if (slot == nullptr) return false;
    const bool was_set = MyLatch->is_set != 0;
    {
        const Resting resting(*slot);
        if (!resting.is_wanted()) {
            ResetLatch(MyLatch);
            (void)postgres::wait_for_latch(milliseconds);
        }
    }
    if (was_set) SetLatch(MyLatch);
    return true;
}

void want_news(Seat seat, bool is_wanted) noexcept {
    const int number = find_slot_number(MyDatabaseId);
    if (number < 0) return;
    WorkerSlot& slot = slot_of(shared_state()->slots[number], seat);
    if (is_wanted)
        pg_atomic_fetch_and_u32(&slot.rest, ~(kResting | kNews));
    else
        pg_atomic_fetch_or_u32(&slot.rest, kResting);
}

void tell_news(WorkerSlot& slot) noexcept {
    if ((pg_atomic_fetch_or_u32(&slot.rest, kNews) & kResting) == 0) set_latch_of(pg_atomic_read_u32(&slot.procno));
}

void end_rest_of_projector() noexcept {
    const int number = find_slot_number(MyDatabaseId);
    if (number < 0) return;
    WorkerSlot& slot = slot_of(shared_state()->slots[number], Role::kProjector);
    if ((pg_atomic_fetch_or_u32(&slot.rest, kWanted) & kResting) != 0) set_latch_of(pg_atomic_read_u32(&slot.procno));
}

}  // namespace runtime
