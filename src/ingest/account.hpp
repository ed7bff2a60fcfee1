// The account of a statement: what became of each of its readings (telemetry.batch_verdict).
#pragma once

#include <cstdint>
#include <string>

#include "ingest/verdicts.hpp"
#include "postgres/types.hpp"

namespace ingest {

struct AccountPart {
    std::string key;  // of the statement
    Oid sender;
    std::uint64_t first_index, count;            // of the readings that the row is about; from 0
    std::int64_t first_event_id, last_event_id;  // of the stored events, where there are no `verdicts`
};

// Writes a row for a portion, in the caller's transaction. It lists each reading that was not simply stored. The other readings
// are the events between the first and the last event id, in the same order. `verdicts` null: all were simply stored.
void write_account(const AccountPart& part, const Verdicts* verdicts, const event_log::Stamp& stamp);

}  // namespace ingest
