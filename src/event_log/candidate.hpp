// The events of one call on their way into the log, with the answer that the append gives for each.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "event_log/epoch.hpp"
#include "model/differences.hpp"
#include "model/event.hpp"
#include "model/fingerprint.hpp"
#include "model/identifiers.hpp"
#include "model/reading.hpp"
#include "postgres/pg.hpp"

namespace event_log {

enum class AppendOutcome : std::uint8_t {
    kUndecided,
    kAccepted,   // stored by this call
    kDuplicate,  // the same request was stored before
    kConflict,   // another request was stored under this identity
    kAbsent,     // the call only looks the reading up, and it is not stored
};

// A valid reading, or an event of another type, on its way into the log, as plain data. Its texts and jsonb outlive the call.
struct Candidate {
    model::Reading reading;                  // what the client sent
    std::optional<std::string_view> region;  // resolved
    const Jsonb* metrics;                    // to be stored as it is; null: the append makes it of the reading's metrics
    model::Micros measured_at;               // resolved
    bool has_identity;                       // a key, or at least a time of measuring
    bool is_only_looked_up;                  // the append recognises a duplicate, but stores nothing
    model::Fingerprint fingerprint;
    std::int64_t request_digest;
    std::uint32_t input_index;  // in the caller's input

    // The answer. For a duplicate or a conflict it describes the event that was stored before.
    AppendOutcome outcome;
    model::EventId event_id;
    model::Micros received_at;
    model::Epoch epoch;
    model::Xid xid;
    std::int64_t stored_digest;
    const model::StoredReading* stored;  // of a conflict with a row of the log; null otherwise

    // The append's own notes.
    Candidate* leader;  // an earlier candidate of this call with the same identity
    ItemPointerData tid;
};

// The values that all rows of one call have in common. Events of two types never have the same identity.
struct Stamp {
    Opened opened;
    model::Micros received_at;
    std::string_view type = model::kTelemetryIngested;
    int version = model::kTelemetryIngestedVersion;
    bool is_portion = false;  // of a statement that stores several: a repeat of an earlier portion is a duplicate
    bool is_look_up = false;  // every candidate is only looked up, so the transaction needs no number
};

}  // namespace event_log
