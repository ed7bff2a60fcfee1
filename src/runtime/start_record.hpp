// What is known of starting a projector in this database where there is no shared memory of ours: a small file among the
// server's temporary statistics, there from an attempt until a projector works. It keeps sessions from trying all at once or
// all the time, and from filling the log.
//
// Nothing here raises or throws. A file that cannot be read or written is no file: then somebody tries once too often.
#pragma once

#include "postgres/types.hpp"

namespace runtime {

struct StartRecord {
    TimestampTz tried_at;   // the last attempt
    TimestampTz failed_at;  // when `reason` was found; 0: the last attempt is not known to have failed
    TimestampTz logged_at;  // the last line in the log; 0: none
    int attempts_in_vain;   // attempts in a row after which no worker was found at work
    char reason[240];       // ends with NUL
};

// All zero where there is none.
StartRecord read_start_record() noexcept;
void write_start_record(const StartRecord& record) noexcept;
void remove_start_record() noexcept;

// Enters a failure. True: no line about one was written for a minute, and the caller writes it now.
bool note_failure(StartRecord& record, const char* reason) noexcept;

}  // namespace runtime
