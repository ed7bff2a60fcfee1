// Turns requests into verdicts. All doors share this path:
//
//   requests ──▶ judge ──▶ find devices ──▶ identify ──▶ append ──▶ verdicts
//
// It works in the caller's transaction, and the caller already acts as the extension's owner.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "event_log/candidate.hpp"
#include "ingest/admission.hpp"
#include "ingest/refused.hpp"
#include "ingest/request.hpp"

namespace ingest {

struct Verdicts {
    std::vector<event_log::Candidate> candidates;  // the readings that may be stored, decided, in input order
    std::vector<RefusedReading> refused;           // all that is neither stored nor a duplicate, in input order
    std::uint32_t received = 0, accepted = 0, duplicates = 0, conflicts = 0, rejected = 0;
    std::uint32_t repeats = 0;  // accepted, but stored earlier in the same command
    event_log::Stamp stamp;
    model::Xid xid;  // of the caller's transaction
};

enum class OnError { kRaise, kCollect };

// What becomes known of a command before it ends. After an error it still says what came before.
struct Progress {
    std::uint64_t received = 0;
    std::uint64_t blamed_conflicts = 0, blamed_rejected = 0;  // the readings for which the command raises its error
};

// Decides every request. With OnError::kRaise the first reading that is refused raises its error, and nothing of the call
// remains. `first_index` is the number of the first request in the client's input, from 0. In a batch an error says which
// reading it was. Of a portion, a repeat of an earlier portion of the same statement is a duplicate.
struct Portion {
    std::span<const Request> requests;
    std::uint32_t first_index;
    OnError on_error;
    bool is_batch;
    bool is_portion;       // the statement may bring several
    Admission& admission;  // of the statement
};
Verdicts decide(const Portion& portion, Progress& progress);

// Says what `decide` would make of a request, and changes nothing: it stores no reading, registers no device, and takes neither
// a transaction number nor an event id. A reading that would be stored counts as accepted. Like `decide` it waits for a session
// that is storing the same reading.
Verdicts foresee(const Request& request);

// The word for a reading that is not stored: conflict, rejected or quarantined.
const char* verdict_of(const RefusedReading& refused) noexcept;

}  // namespace ingest
