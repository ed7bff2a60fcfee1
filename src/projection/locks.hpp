// Takes the locks of a transaction that writes the read side. This file is written wholly in P.
#pragma once

namespace projection {

// Locks the extension's anchor, shared. So DROP EXTENSION waits before it locks any other relation. Without the anchor it could
// deadlock with a pass that locks a table. False: the extension is not there. TC301: its version is not the library's.
bool hold_extension();

// Takes the apply lock of the database. A transaction that writes batches, cursors, state or failures takes it before its
// snapshot, and holds it to its end. So its snapshot shows the last version of those rows.
void take_apply_lock();

// Locks every table that a pass reads or writes, in one order. The caller takes its snapshot afterwards. A snapshot from before
// the wait would not show what the holder of the lock rewrote, and would hold back vacuum during the wait.
void lock_tables();

}  // namespace projection
