// The callback at the end of a pass's transaction moves the count of events that were read. The transaction holds the apply
// lock until after the callback, so there is one writer at a time.
#include "runtime/backlog.hpp"

#include <algorithm>

#include "postgres/error.hpp"

#include "postgres/pg.hpp"

namespace runtime {
namespace {

constexpr std::int64_t kLargePass = 1000;  // events; a smaller pass says nothing of the speed

ReadReport pending;
bool has_pending = false;

// The difference of two counts that may wrap around.
std::int64_t distance(std::uint64_t from, std::uint64_t to) noexcept {
    return static_cast<std::int64_t>(to - from);
}

void apply(BacklogCounters& counters, const ReadReport& report) noexcept {
    std::uint64_t read = pg_atomic_read_u64(&counters.read);
    if (report.measured) read = report.committed_before - static_cast<std::uint64_t>(*report.measured);
    if (report.has_read_on) {
        const std::uint64_t committed = pg_atomic_read_u64(&counters.committed);
        read += static_cast<std::uint64_t>(std::min(report.events, std::max<std::int64_t>(0, distance(read, committed))));
        if (report.is_complete && distance(read, report.committed_before) > 0) read = report.committed_before;
    }
    pg_atomic_write_u64(&counters.read, read);
    if (report.measured || report.is_complete) pg_atomic_write_u32(&counters.is_known, 1);
    const SteadyTime elapsed = steady_time() - report.begun_at;
    if (report.events >= kLargePass && elapsed > 0)
        pg_atomic_write_u64(&counters.speed, static_cast<std::uint64_t>(report.events * 1'000'000 / elapsed));
}

void end_of_transaction(XactEvent event, void*) noexcept {
    if (!has_pending) return;
    if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE) return;
    has_pending = false;
    if (event != XACT_EVENT_COMMIT) return;
    if (DatabaseSlot* slot = own_slot()) apply(slot->backlog, pending);
}

}  // namespace

std::uint64_t committed_events() noexcept {
    DatabaseSlot* slot = own_slot();
    return slot == nullptr ? 0 : pg_atomic_read_u64(&slot->backlog.committed);
}

bool knows_backlog() noexcept {
    DatabaseSlot* slot = own_slot();
    return slot == nullptr || pg_atomic_read_u32(&slot->backlog.is_known) != 0;
}

std::int64_t backlog() noexcept {
    DatabaseSlot* slot = own_slot();
    if (slot == nullptr) return 0;
    const std::uint64_t read = pg_atomic_read_u64(&slot->backlog.read);
    return std::max<std::int64_t>(0, distance(read, pg_atomic_read_u64(&slot->backlog.committed)));
}

std::uint64_t projector_speed() noexcept {
    DatabaseSlot* slot = own_slot();
    return slot == nullptr ? 0 : pg_atomic_read_u64(&slot->backlog.speed);
}

void report_read_at_commit(const ReadReport& report) noexcept {
    if (shared_state() == nullptr) return;
    pending = report;
    has_pending = true;
}

void watch_passes() {
    postgres::guarded([] { RegisterXactCallback(end_of_transaction, nullptr); });
}

}  // namespace runtime
