// The write-ahead log of this server.
#pragma once

#include <cstdint>

namespace postgres {

// P. The place up to which records were logged so far.
std::uint64_t end_of_log();

// P. Writes the log to disk up to there. After it no crash of this server takes back a transaction whose commit was visible
// before that place was taken. It is cheap if sessions have flushed the log since.
void flush_log(std::uint64_t end);

}  // namespace postgres
