// Why a reading is not stored, in SQLSTATE and words.
#pragma once

#include <cstdint>
#include <string>

#include "device/registry.hpp"
#include "event_log/candidate.hpp"
#include "event_log/metrics.hpp"
#include "model/validation.hpp"

namespace ingest {

struct Refused {
    std::uint32_t position;  // in the input, from 0
    int sqlstate;
    std::string message, detail, hint;
};

// Of the metrics of one reading, as the server holds a jsonb. The most metrics with the longest names and numbers of double
// precision need 10 kB. The log may hold larger ones of earlier versions.
inline constexpr std::size_t kMaxMetricsSize = 65536;

// Are these metrics an object of numbers, and not too many?
bool is_acceptable(const event_log::Metrics& metrics) noexcept;

Refused refuse_missing_device(std::uint32_t position);
Refused refuse_metrics_of_size(std::uint32_t position, std::size_t size);
Refused refuse_metrics(std::uint32_t position, const event_log::Metrics& metrics);
Refused refuse_reading(std::uint32_t position, model::RefusalText text);
Refused refuse_device(const event_log::Candidate& candidate, device::Standing standing);
Refused refuse_conflict(const event_log::Candidate& candidate);

[[noreturn]] void raise(const Refused& refused, bool in_batch);

}  // namespace ingest
