// Opens the log for writing: finds or makes the installation's secret and the epoch of this place.
#pragma once

#include <cstdint>
#include <optional>

#include "model/fingerprint.hpp"
#include "model/identifiers.hpp"
#include "postgres/types.hpp"
#include "runtime/installed.hpp"

namespace event_log {

// The facts about the log that a writer needs. A session keeps them while the installation and the place stay the same.
struct Opened {
    model::Epoch epoch;
    model::Secret secret;
    std::int64_t last_stale_event_id = 0;  // event ids that the session has cached, up to this one, may be in the log already
};

// P. The place that a row of telemetry.epoch names.
runtime::LogPlace place_of(TupleTableSlot* row);

// P. Reads from a row of telemetry.epoch where the epoch begins. False: the row does not say. Version 1.1 added the column, and
// a user may have added columns to the table of version 1.0 before. So it is found by its name.
bool read_first_xid(TupleTableSlot* row, FullTransactionId& first_xid);

// The number of the epoch that is opened next at the place `here`. `last` is the number of the newest known epoch, and
// `last_place` the place that wrote it; 0 and null: none is known. Each timeline up to this one may have had an epoch here that
// a recovery took back. The result leaves room for all of them, so that none of their numbers comes again.
std::int32_t number_of_next_epoch(std::int32_t last, const runtime::LogPlace* last_place, const runtime::LogPlace& here);

// Returns the current epoch and the secret. The first command after an installation or a restore writes the missing rows, in
// its transaction. Several first commands at once agree on the same rows, and none waits for another's end. So the tables may
// hold a row several times, word for word. At a place that has not written the log before, it moves the sequences past what is
// stored. Errors:
// - TC202: rows of two installations or places are mixed. TC204: a trigger or a rule keeps a row out.
// - TC301: the stored fingerprints are of another version.
const Opened& open_for_writing();

// The same for a session that only looks, also in a read-only transaction. Nothing: no reading was ever stored.
std::optional<Opened> find_opened();

}  // namespace event_log
