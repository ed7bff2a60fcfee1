// Refusals: why a reading is not stored, in SQLSTATE and words.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "device/registry.hpp"
#include "event_log/candidate.hpp"
#include "ingest/request.hpp"
#include "model/refusal_text.hpp"

namespace ingest {

struct RefusedReading {
    std::uint32_t input_index;  // in the portion that is decided, from 0
    int sqlstate;
    std::string message, detail, hint;
    bool is_error = true;     // false: the policy keeps the reading in the quarantine, and the client gets no error
    model::EventId event_id;  // of a conflict: the event that is stored under this identity; 0 otherwise
};

// The words for a text that cannot be converted between the encoding of the database and UTF-8.
const model::RefusalText& character_lost();

// The words in the encoding of the database, with '?' for a character that it lacks. They come in UTF-8.
model::RefusalText encoded(model::RefusalText utf8);

// True if the metrics are an object of numbers.
bool is_readable(const SentMetrics& metrics) noexcept;

RefusedReading refuse_missing_device(std::uint32_t input_index);
RefusedReading refuse_metrics_of_size(std::uint32_t input_index, const Request& request);
RefusedReading refuse_metrics(std::uint32_t input_index, const Request& request);
RefusedReading refuse_reading(std::uint32_t input_index, model::RefusalText text);
RefusedReading refuse_device(const event_log::Candidate& candidate, device::Standing standing);
RefusedReading refuse_metric_name(const event_log::Candidate& candidate, std::string_view metric);
RefusedReading refuse_conflict(const event_log::Candidate& candidate);

// The message and the detail in one text.
std::string reason_of(const RefusedReading& refused);

// Throws the refusal as an Error. Of a batch, the detail says which reading it was.
[[noreturn]] void raise(const RefusedReading& refused, std::uint32_t first_index, bool is_batch);

}  // namespace ingest
