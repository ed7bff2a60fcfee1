// A clock that can be set back: an hour, while the file "clock_is_back" is in the data directory, where every process of the
// server stands. Preloaded (LD_PRELOAD).
#include <sys/time.h>
#include <unistd.h>

#include <ctime>

extern "C" __attribute__((visibility("default"))) int gettimeofday(timeval* now, void*) noexcept {
    timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    *now = {time.tv_sec - (access("clock_is_back", F_OK) == 0 ? 3600 : 0), time.tv_nsec / 1000};
    return 0;
}
