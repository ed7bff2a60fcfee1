// Asks for shared memory and sets it up, in the hooks that the server has for both.
#include "postgres/shared_memory.hpp"

#include "postgres/pg.hpp"

namespace postgres {
namespace {

const SharedMemoryRequest* wanted = nullptr;
shmem_request_hook_type previous_request_hook = nullptr;
shmem_startup_hook_type previous_startup_hook = nullptr;

// Both hooks run in the postmaster and hold nothing but C.
void request_memory() {
    if (previous_request_hook != nullptr) previous_request_hook();
    RequestAddinShmemSpace(MAXALIGN(wanted->size()));
    RequestNamedLWLockTranche(wanted->name, 1);
}

void start_up() {
    if (previous_startup_hook != nullptr) previous_startup_hook();
    LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
    bool found = false;
    const Size size = wanted->size();
    void* memory = ShmemInitStruct(wanted->name, size, &found);
    if (!found) memset(memory, 0, size);
    wanted->initialise(memory, &GetNamedLWLockTranche(wanted->name)->lock);
    LWLockRelease(AddinShmemInitLock);
}

}  // namespace

void request_shared_memory(const SharedMemoryRequest& request) {
    wanted = &request;
    previous_request_hook = shmem_request_hook;
    shmem_request_hook = request_memory;
    previous_startup_hook = shmem_startup_hook;
    shmem_startup_hook = start_up;
}

}  // namespace postgres
