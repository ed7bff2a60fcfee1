// Memory that a process has freed and keeps.
#pragma once

namespace postgres {

// Lets this process keep up to 8 MB of freed memory. The C library gives most of it back to the system when a statement ends,
// and the next statement gets it anew, page by page and zeroed. For a process that makes the same large results again and again
// this is a third of its work. So the workers call it, and sessions that consume batches or send many readings at once.
void keep_freed_memory() noexcept;

}  // namespace postgres
