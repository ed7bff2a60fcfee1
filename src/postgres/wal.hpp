// The write-ahead log of this server.
#pragma once

namespace postgres {

// P. Writes everything to disk that was logged so far. After it no crash of this server takes back a transaction whose commit
// was visible before the call.
void flush_log();

}  // namespace postgres
