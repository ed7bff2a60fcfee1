// One piece of shared memory with one lock, asked for while the server preloads the library; and holding such a lock.
#pragma once

#include "postgres/pg.hpp"

namespace postgres {

struct SharedMemoryRequest {
    const char* name;  // of the memory and of the lock's tranche
    Size (*size)();    // called when max_worker_processes and its kind are known
    // Called in the postmaster at start and after a crash with fresh memory, `size()` bytes that are zero.
    void (*initialise)(void* memory, LWLock* lock);
};

// To be called by _PG_init while shared_preload_libraries are loaded, once. `request` lives as long as the process.
void request_shared_memory(const SharedMemoryRequest& request);

// Holds a lock. Nothing that may raise an error happens while it is held.
class LockHeld {
public:
    LockHeld(LWLock* lock, LWLockMode mode) noexcept : lock_(lock) { LWLockAcquire(lock, mode); }
    LockHeld(const LockHeld&) = delete;
    LockHeld& operator=(const LockHeld&) = delete;
    ~LockHeld() { LWLockRelease(lock_); }

private:
    LWLock* lock_;
};

}  // namespace postgres
