// Refusals: why a reading is not stored, in SQLSTATE and words.
#pragma once

#include <cstdint>
#include <string>

#include "device/registry.hpp"
#include "event_log/candidate.hpp"
#include "event_log/metrics.hpp"
#include "model/validation.hpp"

namespace ingest {

struct RefusedReading {
    std::uint32_t input_index;  // from 0
    int sqlstate;
    std::string message, detail, hint;
};

// The limit for the metrics of one reading, in bytes of the server's jsonb. A reading with the most metrics, the longest names
// and numbers of double precision needs 10 kB. The log may hold larger ones, which earlier versions stored.
inline constexpr std::size_t kMaxMetricsSize = 65536;

// True if the metrics are an object of numbers with no more members than a reading may have.
bool is_acceptable(const event_log::Metrics& metrics) noexcept;

RefusedReading refuse_missing_device(std::uint32_t input_index);
RefusedReading refuse_metrics_of_size(std::uint32_t input_index, std::size_t size);
RefusedReading refuse_metrics(std::uint32_t input_index, const event_log::Metrics& metrics);
RefusedReading refuse_reading(std::uint32_t input_index, model::RefusalText text);
RefusedReading refuse_device(const event_log::Candidate& candidate, device::Standing standing);
RefusedReading refuse_conflict(const event_log::Candidate& candidate);

// Throws the refusal as an Error. Of an array call, the detail says which reading it was.
[[noreturn]] void raise(const RefusedReading& refused, bool is_batch);

}  // namespace ingest
