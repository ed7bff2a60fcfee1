// An event for tests: it has only the values that every event has.
#pragma once

#include <cstdint>

#include "model/event.hpp"
#include "model/identifiers.hpp"

namespace test {

inline constexpr model::Micros kMeasuredAt = 820638245'000000;  // 2026-01-02 03:04:05 UTC

inline model::Event bare_event(std::int64_t id) {
    return {.event_id = {id},
            .xid = {5},
            .device_id = "d",
            .region = {},
            .measured_at = kMeasuredAt,
            .received_at = kMeasuredAt + 200000,
            .temperature = {},
            .humidity = {},
            .metrics = {},
            .details = {}};
}

}  // namespace test
