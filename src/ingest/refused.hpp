// Why a reading is not stored, in SQLSTATE and words.
#pragma once

#include <cstdint>
#include <string>

#include "device/registry.hpp"
#include "event_log/append.hpp"
#include "event_log/metrics.hpp"
#include "model/validation.hpp"

#include "postgres/pg.hpp"

namespace ingest {

struct Refused {
    std::uint32_t position;  // in the input, from 0
    int sqlstate;
    std::string message, detail, hint;
};

// Are these metrics an object of numbers, and not too many?
bool is_acceptable(const event_log::Metrics& metrics) noexcept;

Refused refuse_missing_device(std::uint32_t position);
Refused refuse_metrics(std::uint32_t position, const event_log::Metrics& metrics);
Refused refuse_reading(std::uint32_t position, model::RefusalText text);
Refused refuse_device(const event_log::Candidate& candidate, device::Standing standing);
Refused refuse_conflict(const event_log::Candidate& candidate);

[[noreturn]] void raise(const Refused& refused, bool in_batch);

}  // namespace ingest
