// Sets the thresholds of glibc, which counts the free memory at the end of the heap. Other C libraries stay as they are.
#include "postgres/kept_memory.hpp"

#include <cstdlib>

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace postgres {

void keep_freed_memory() noexcept {
#ifdef __GLIBC__
    constexpr int kKept = 8 << 20;
    static bool is_set = false;
    if (is_set) return;
    is_set = true;
    (void)mallopt(M_TRIM_THRESHOLD, kKept);      // NOLINT(concurrency-mt-unsafe): a process of the server has one thread
    (void)mallopt(M_MMAP_THRESHOLD, kKept / 2);  // NOLINT(concurrency-mt-unsafe): a larger block goes back at once
#endif
}

}  // namespace postgres
