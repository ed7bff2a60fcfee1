// The launcher is one process of the server that keeps the wanted workers running in every database that has the extension.
#pragma once

namespace worker {

// Called once, by _PG_init while the server preloads the library. Registers nothing in binary-upgrade mode.
void register_launcher();

}  // namespace worker
