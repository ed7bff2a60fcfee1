// Why a reading is not stored, in SQLSTATE and words.
#pragma once

#include <cstdint>
#include <string>

#include "device/registry.hpp"
#include "event_log/candidate.hpp"
#include "event_log/metrics.hpp"
#include "model/validation.hpp"

namespace ingest {

struct RefusedReading {
    std::uint32_t input_index;  // in the input, from 0
    int sqlstate;
    std::string message, detail, hint;
};

// Of the metrics of one reading, as the server holds a jsonb. The most metrics with the longest names and numbers of double
// precision need 10 kB. The log may hold larger ones of earlier versions.
inline constexpr std::size_t kMaxMetricsSize = 65536;

// Are these metrics an object of numbers, and not too many?
bool is_acceptable(const event_log::Metrics& metrics) noexcept;

RefusedReading refuse_missing_device(std::uint32_t input_index);
RefusedReading refuse_metrics_of_size(std::uint32_t input_index, std::size_t size);
RefusedReading refuse_metrics(std::uint32_t input_index, const event_log::Metrics& metrics);
RefusedReading refuse_reading(std::uint32_t input_index, model::RefusalText text);
RefusedReading refuse_device(const event_log::Candidate& candidate, device::Standing standing);
RefusedReading refuse_conflict(const event_log::Candidate& candidate);

[[noreturn]] void raise(const RefusedReading& refused, bool is_batch);

}  // namespace ingest
