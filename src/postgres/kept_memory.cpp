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
    // A larger block is mapped by itself, and goes back at once.
    static const bool is_set = mallopt(M_TRIM_THRESHOLD, kKept) != 0 && mallopt(M_MMAP_THRESHOLD, kKept / 2) != 0;
    (void)is_set;
#endif
}

}  // namespace postgres
