// Opening the log for writing: the installation's secret and the epoch of this place.
#pragma once

#include <cstdint>

#include "model/fingerprint.hpp"
#include "model/identifiers.hpp"
#include "postgres/types.hpp"
#include "runtime/installed.hpp"

namespace event_log {

// What a writer needs to know of the installation, fixed for as long as the server process lives in this database.
struct Opened {
    model::Epoch epoch;
    model::Secret secret;
    std::int64_t last_stale_event_id = 0;  // up to this one the session may have event ids in store that are taken
};

// P. Where the epoch of a row of telemetry.epoch begins; false where the row does not say. Version 1.1 adds the column, behind
// those that somebody may have put on the table of version 1.0: so it is found by its name.
bool read_first_xid(TupleTableSlot* row, FullTransactionId& first_xid);

// The number of the epoch that is opened next at a place, where `last` is the number of the newest one that is known and
// `last_place` where that was written; 0 and null where none is known. Each timeline up to this one may have had an epoch here
// that a recovery took back: its number, and those of its batches, do not come again.
std::int32_t number_of_next_epoch(std::int32_t last, const runtime::LogPlace* last_place, const runtime::LogPlace& here);

// The current epoch. The first command after installation or restore makes the rows that are missing, in the caller's
// transaction. Commands that are first at the same time agree on the same rows and do not wait for each other's end; so the
// tables may hold a row several times, word for word. At a place where the log was not written before, the sequences are moved
// past what is there. TC301 where fingerprints of another version are stored.
const Opened& open_for_writing();

}  // namespace event_log
