// What a server that loads a library with ASan and UBSan needs before them: preloaded in front of libasan and libubsan, and
// linked to be the first whose constructor runs.
//
// Left alone, ASan starts at the first malloc, and that is in the constructor of a library that the server is linked with and
// that calls bindtextdomain: it allocates while it holds the lock of gettext, ASan's start asks dlsym for functions that are
// not there, dlerror translates its message, takes the same lock again and gives it back twice. The server's own bindtextdomain
// then waits for ever. So ASan is started here, with nobody's lock held.
//
// The options stand here because UBSan reads its own when it finds the first error, from the place in memory where the
// environment was; there the server has written its title for ps by then.

extern "C" {

void __asan_init();

// A library that was never instrumented lies in front of libasan. Every process ends with memory it owns. A longjmp out of a
// frame leaves its fake stack behind.
const char* __asan_default_options() {
    return "verify_asan_link_order=0:detect_leaks=0:detect_stack_use_after_return=0:abort_on_error=1:disable_coredump=1";
}

const char* __ubsan_default_options() {
    return "print_stacktrace=1:abort_on_error=1";
}
}

namespace {

__attribute__((constructor)) void start() {
    __asan_init();
}

}  // namespace
