// The command handler turns the readings of one call into verdicts. All doors share it.
#pragma once

#include <cstdint>
#include <vector>

#include "event_log/candidate.hpp"
#include "ingest/refused.hpp"
#include "ingest/tally.hpp"
#include "postgres/pg.hpp"

namespace ingest {

// A reading as a door delivers it: detoasted values of the server, null where the client sent nothing. Plain data.
struct Request {
    text* device_id;
    text* idempotency_key;
    text* region;
    Jsonb* metrics;
    bool has_measured_at, has_temperature, has_humidity;
    TimestampTz measured_at;
    double temperature, humidity;
};

struct Verdicts {
    std::vector<event_log::Candidate> candidates;  // the valid readings, decided, in input order
    std::vector<RefusedReading> refused;           // all that is neither stored nor a duplicate, in input order
    std::uint32_t received = 0, accepted = 0, duplicates = 0, conflicts = 0, rejected = 0;
    event_log::Stamp stamp;
    model::Xid xid;  // of the caller's transaction
    bool is_batch = false;
};

enum class OnError { kRaise, kCollect };

// Validates readings, resolves defaults, registers devices and appends events. It works in the caller's transaction, and the
// caller already acts as the extension's owner. With OnError::kRaise the first reading that is not stored raises its error, and
// nothing of the call remains. The handler fills `tally` as it goes, so an error leaves there what came before it.
Verdicts handle_command(const Request* requests, std::uint32_t count, OnError on_error, bool is_batch, Tally& tally);

}  // namespace ingest
