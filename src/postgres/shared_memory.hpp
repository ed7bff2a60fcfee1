// Asks for one piece of shared memory with one lock while the server preloads the library, and holds such a lock for a scope.
#pragma once

#include "postgres/pg.hpp"

namespace postgres {

struct SharedMemoryRequest {
    const char* name;  // of the memory and of the lock's tranche
    Size (*size)();    // called when max_worker_processes and settings like it are known
    // The postmaster calls this at its start, and after a crash again. The memory is fresh: `size()` bytes that are zero.
    void (*initialise)(void* memory, LWLock* lock);
};

// _PG_init calls this once, while the server loads shared_preload_libraries. `request` lives as long as the process.
void request_shared_memory(const SharedMemoryRequest& request);

// Holds a lock for a scope. Nothing in the scope may raise an error.
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
