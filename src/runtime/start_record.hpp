// The start record says how the attempts to start a projector in this database went. It serves where the extension has no
// shared memory.
//
// It is a small file among the server's temporary statistics. The first attempt makes it, and a projector at work removes it.
// It keeps sessions from all trying at once, from trying all the time, and from filling the server log.
//
// No function raises or throws. A file that cannot be read or written counts as missing, and then a session may try once too
// often.
#pragma once

#include "postgres/types.hpp"

namespace runtime {

struct StartRecord {
    TimestampTz tried_at;   // the last attempt
    TimestampTz failed_at;  // when `reason` was found; 0: the last attempt is not known to have failed
    TimestampTz logged_at;  // the last line in the server log; 0: none
    int attempts_in_vain;   // attempts in a row that brought no worker to work
    char reason[240];       // ends with NUL
};

// Returns a record of zeros if there is none.
StartRecord read_start_record() noexcept;
void write_start_record(const StartRecord& record) noexcept;
void remove_start_record() noexcept;

// Enters a failure. True: the server log has had no line about a failure for a minute, and the caller writes one now.
bool note_failure(StartRecord& record, const char* reason) noexcept;

}  // namespace runtime
