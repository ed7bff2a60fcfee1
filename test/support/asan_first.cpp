// A server that loads a library with ASan and UBSan preloads this one in front of libasan and libubsan. It is linked so that
// its constructor runs first, and it starts ASan while no lock is held. Otherwise the server would wait for ever:
//
// 1. ASan starts at the first malloc: in the constructor of a library of the server, which calls bindtextdomain.
// 2. bindtextdomain allocates while it holds the lock of gettext.
// 3. The start of ASan asks dlsym for functions that are missing. dlerror translates its message, takes the same lock again,
// and
//    releases it twice.
// 4. The server's own bindtextdomain then waits for that lock.
//
// The options are compiled in. UBSan reads its options at the first error, from the memory of the environment, and there the
// server has written its title for ps by then.

// NOLINTBEGIN(bugprone-reserved-identifier, readability-identifier-naming): the sanitizers' names
extern "C" {

void __asan_init();

// Each option has a reason: this library, which is not instrumented, comes before libasan; every process of the server ends
// with memory that it still owns; a longjmp out of a frame leaves its fake stack allocated.
const char* __asan_default_options() {
    return "verify_asan_link_order=0:detect_leaks=0:detect_stack_use_after_return=0:abort_on_error=1:disable_coredump=1";
}

const char* __ubsan_default_options() {
    return "print_stacktrace=1:abort_on_error=1";
}
}
// NOLINTEND(bugprone-reserved-identifier, readability-identifier-naming)

namespace {

__attribute__((constructor)) void start() {
    __asan_init();
}

}  // namespace
