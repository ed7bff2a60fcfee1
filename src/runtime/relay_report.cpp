// Copies reports in and out of the slot, under its lock.
#include "runtime/relay_report.hpp"

#include "postgres/shared_memory.hpp"

#include "postgres/pg.hpp"

namespace runtime {
namespace {

SinkReport* find_report(RelaySink sink) noexcept {
    const int slot = find_slot_number(MyDatabaseId);
    return slot < 0 ? nullptr : &shared_state()->slots[slot].sinks[static_cast<int>(sink)];
}

}  // namespace

const char* name_of(SinkCondition condition) noexcept {
    switch (condition) {
        case SinkCondition::kStopped:
            return "stopped";
        case SinkCondition::kResting:
            return "resting";
        case SinkCondition::kConnecting:
            return "connecting";
        case SinkCondition::kConnected:
            return "connected";
        case SinkCondition::kBackingOff:
            break;
    }
    return "backing off";
}

const char* name_of(RelaySink sink) noexcept {
    return sink == RelaySink::kNats ? "nats" : "redis";
}

void report_sink(RelaySink sink, const SinkReport& report) noexcept {
    SinkReport* stored = find_report(sink);
    if (stored == nullptr) return;
    postgres::LockHeld held(shared_state()->lock, LW_EXCLUSIVE);
    const TimestampTz since = stored->condition == report.condition ? stored->since : GetCurrentTimestamp();
    *stored = report;
    stored->since = since;
}

SinkReport sink_report(RelaySink sink) noexcept {
    const SinkReport* stored = find_report(sink);
    if (stored == nullptr) return {};
    postgres::LockHeld held(shared_state()->lock, LW_SHARED);
    return *stored;
}

}  // namespace runtime
