// What a transaction that writes the read side holds. This file is written wholly in P.
#pragma once

namespace projection {

// Takes the lock on the extension's gate, so that DROP EXTENSION waits before it has locked any other relation (a lock on one
// of our tables could meet it half-way and deadlock). False: the extension is not there. TC301: its version is not the
// library's.
bool hold_extension();

// Whoever writes batches, checkpoints, state or failures holds this lock from before it takes its snapshot until its
// transaction is over: so what the snapshot shows is the last version of those rows.
void take_apply_lock();

// Locks every table that a pass reads or writes, in one order. To be called before the snapshot is taken: a snapshot older than
// the wait for a lock would not show what the holder of the lock rewrote, and it would be held during the wait.
void lock_tables();

}  // namespace projection
