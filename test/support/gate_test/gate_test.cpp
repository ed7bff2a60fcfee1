// SQL functions that send errors through the gates in both directions and count what happens to C++ objects and server state.
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <new>
#include <stdexcept>
#include <string_view>

#include "postgres/entry_point.hpp"
#include "postgres/error.hpp"
#include "postgres/pg.hpp"

extern "C" {
PG_MODULE_MAGIC;
}

namespace {

struct Counters {
    int64 constructed;
    int64 destroyed;
    int64 destroyed_twice;
    int64 stacks_changed;
    int64 context_calls;
};
constinit Counters counters{};

// An object whose destructor must run exactly once, whatever leaves its frame.
class Probe {
public:
    Probe() {
        while (alive[slot_]) slot_ = (slot_ + 1) % kSlots;
        alive[slot_] = true;
        ++counters.constructed;
    }
    Probe(const Probe&) = delete;
    Probe& operator=(const Probe&) = delete;
    ~Probe() {
        if (!alive[slot_]) ++counters.destroyed_twice;
        alive[slot_] = false;
        ++counters.destroyed;
    }

private:
    static constexpr int kSlots = 1024;
    static inline constinit bool alive[kSlots] = {};
    int slot_ = 0;
};

// A gate must leave these as it found them.
class Witness {
public:
    void look() const {
        if (PG_exception_stack != exceptions_ || error_context_stack != callbacks_ || CurrentMemoryContext != memory_)
            ++counters.stacks_changed;
    }

private:
    sigjmp_buf* exceptions_ = PG_exception_stack;
    ErrorContextCallback* callbacks_ = error_context_stack;
    MemoryContext memory_ = CurrentMemoryContext;
};

// Runs `body` with a probe on either side and looks at the server's stacks when it is left, by an exception or not.
template <typename Body>
void observed(Body&& body) {
    Probe before;
    Witness witness;
    try {
        Probe inside;
        body();
    } catch (...) {
        witness.look();
        throw;
    }
    witness.look();
}

const char* text_argument(FunctionCallInfo fcinfo, int number) {
    return postgres::guarded([=] { return text_to_cstring(PG_GETARG_TEXT_PP(number)); });
}

// Adds a context too long for the first kilobyte of a memory context, so that copying it needs memory from the system.
void count_context_call(void*) {
    ++counters.context_calls;
    errcontext("the block of gate_test%900s", "");
}

void throw_kind(std::string_view kind, int frames) {
    Probe probe;
    if (frames > 0) {
        // The rules forbid C++ exceptions in a guarded block; the stacks must survive one all the same.
        observed([=] { postgres::guarded([=] { throw_kind(kind, frames - 1); }); });
    } else if (kind == "error") {
        throw postgres::Error(MAKE_SQLSTATE('T', 'C', '9', '9', '9'), "the message with a % sign", "the detail", "the hint");
    } else if (kind == "runtime_error") {
        throw std::runtime_error("the words of the exception");
    } else if (kind == "bad_alloc") {
        throw std::bad_alloc();
    } else if (kind == "number") {
        throw 42;
    } else {
        throw postgres::Error(ERRCODE_INVALID_PARAMETER_VALUE, "unknown kind");
    }
}

void ask_too_much(std::string_view how) {
    if (how == "palloc") {
        postgres::guarded([] { (void)MemoryContextAllocHuge(CurrentMemoryContext, Size{1} << 60); });
    } else {
        ::operator delete(::operator new (std::size_t{1} << 60));
    }
}

// Limits the address space of this process to a little more than it uses now, until destroyed.
class MemoryLimit {
public:
    explicit MemoryLimit(rlim_t more) {
        long pages = 0;
        if (FILE* statm = std::fopen("/proc/self/statm", "r")) {
            if (std::fscanf(statm, "%ld", &pages) != 1) pages = 0;
            std::fclose(statm);
        }
        if (pages == 0 || getrlimit(RLIMIT_AS, &before_) != 0) throw std::runtime_error("cannot read the memory in use");
        rlimit tight = before_;
        tight.rlim_cur = static_cast<rlim_t>(pages) * static_cast<rlim_t>(sysconf(_SC_PAGESIZE)) + more;
        if (setrlimit(RLIMIT_AS, &tight) != 0) throw std::runtime_error("cannot limit the memory");
    }
    MemoryLimit(const MemoryLimit&) = delete;
    MemoryLimit& operator=(const MemoryLimit&) = delete;
    ~MemoryLimit() { setrlimit(RLIMIT_AS, &before_); }

private:
    rlimit before_{};
};

constexpr Size kLargestPiece = Size{1} << 20;
constexpr Size kSmallestPiece = 16;

void exhaust_by_palloc() {
    postgres::guarded([] {
        ErrorContextCallback callback{};
        callback.previous = error_context_stack;
        callback.callback = count_context_call;
        error_context_stack = &callback;
        for (Size size = kLargestPiece; size >= kSmallestPiece; size /= 2)
            while (palloc_extended(size, MCXT_ALLOC_NO_OOM) != nullptr) CHECK_FOR_INTERRUPTS();
        (void)palloc(kLargestPiece);
        error_context_stack = callback.previous;
    });
}

// Pieces of memory in a list that frees them.
class Pieces {
public:
    Pieces() = default;
    Pieces(const Pieces&) = delete;
    Pieces& operator=(const Pieces&) = delete;
    ~Pieces() {
        while (first_ != nullptr) {
            Piece* next = first_->next;
            ::operator delete(first_);
            first_ = next;
        }
    }
    void add(std::size_t size) { first_ = new (::operator new(size)) Piece{first_}; }

private:
    struct Piece {
        Piece* next;
    };
    Piece* first_ = nullptr;
};

void fill(Pieces& pieces) {
    for (std::size_t size = kLargestPiece; size >= kSmallestPiece; size /= 2) {
        try {
            for (;;) pieces.add(size);
        } catch (const std::bad_alloc&) {
        }
    }
}

void exhaust(std::string_view how) {
    MemoryLimit limit(rlim_t{48} << 20);
    Pieces pieces;
    if (how == "palloc") {
        exhaust_by_palloc();
    } else if (how == "new") {
        fill(pieces);
        for (;;) pieces.add(kSmallestPiece);
    } else {
        fill(pieces);
        exhaust_by_palloc();
    }
}

int64 resident_bytes() {
    long total = 0, resident = 0;
    if (FILE* statm = std::fopen("/proc/self/statm", "r")) {
        if (std::fscanf(statm, "%ld %ld", &total, &resident) != 2) resident = 0;
        std::fclose(statm);
    }
    return static_cast<int64>(resident) * sysconf(_SC_PAGESIZE);
}

}  // namespace

TELEMETRY_FUNCTION(gate_run) {
    observed([=] {
        const char* command = text_argument(fcinfo, 0);
        observed([=] {
            postgres::guarded([=] {
                if (SPI_connect() != SPI_OK_CONNECT) elog(ERROR, "SPI_connect failed");
                if (SPI_execute(command, false, 0) < 0) elog(ERROR, "SPI_execute failed");
                if (SPI_finish() != SPI_OK_FINISH) elog(ERROR, "SPI_finish failed");
            });
        });
    });
    PG_RETURN_VOID();
}

TELEMETRY_FUNCTION(gate_run_deep) {
    const int32 depth = PG_GETARG_INT32(1);
    observed([=] {
        postgres::guarded([=] {
            if (depth > 0) {
                DirectFunctionCall2(gate_run_deep, PG_GETARG_DATUM(0), Int32GetDatum(depth - 1));
            } else {
                DirectFunctionCall1(gate_run, PG_GETARG_DATUM(0));
            }
        });
    });
    PG_RETURN_VOID();
}

TELEMETRY_FUNCTION(gate_throw) {
    observed([=] { throw_kind(text_argument(fcinfo, 0), PG_GETARG_INT32(1)); });
    PG_RETURN_VOID();
}

TELEMETRY_FUNCTION(gate_catch) {
    const int32 times = PG_GETARG_INT32(0);
    MemoryContext memory = CurrentMemoryContext;
    ResourceOwner owner = CurrentResourceOwner;
    for (int32 i = 0; i < times; ++i) {
        postgres::guarded([=] {
            BeginInternalSubTransaction(nullptr);
            MemoryContextSwitchTo(memory);
        });
        bool caught = false;
        try {
            observed([=] {
                postgres::guarded([=] {
                    ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION), errmsg("error number %d", i), errdetail("A detail."),
                                    errhint("A hint.")));
                });
            });
        } catch (const postgres::PgError& error) {
            caught = error.sqlstate() == ERRCODE_DATA_EXCEPTION;
        }
        postgres::guarded([=] {
            RollbackAndReleaseCurrentSubTransaction();
            MemoryContextSwitchTo(memory);
            CurrentResourceOwner = owner;
        });
        if (!caught) throw std::logic_error("the error was not caught");
    }
    PG_RETURN_VOID();
}

TELEMETRY_FUNCTION(gate_ask_too_much) {
    observed([=] { ask_too_much(text_argument(fcinfo, 0)); });
    PG_RETURN_VOID();
}

TELEMETRY_FUNCTION(gate_exhaust) {
    observed([=] { exhaust(text_argument(fcinfo, 0)); });
    PG_RETURN_VOID();
}

TELEMETRY_FUNCTION(gate_sleep) {
    observed([] { postgres::guarded([] { DirectFunctionCall1(pg_sleep, Float8GetDatum(600)); }); });
    PG_RETURN_VOID();
}

TELEMETRY_FUNCTION(gate_spin) {
    observed([] {
        for (;;) postgres::guarded([] { CHECK_FOR_INTERRUPTS(); });
    });
    PG_RETURN_VOID();
}

TELEMETRY_FUNCTION(gate_counter) {
    const std::string_view name = text_argument(fcinfo, 0);
    if (name == "constructed") PG_RETURN_INT64(counters.constructed);
    if (name == "destroyed") PG_RETURN_INT64(counters.destroyed);
    if (name == "destroyed_twice") PG_RETURN_INT64(counters.destroyed_twice);
    if (name == "stacks_changed") PG_RETURN_INT64(counters.stacks_changed);
    if (name == "context_calls") PG_RETURN_INT64(counters.context_calls);
    if (name == "resident") PG_RETURN_INT64(resident_bytes());
    if (name == "contexts") PG_RETURN_INT64(static_cast<int64>(MemoryContextMemAllocated(TopMemoryContext, true)));
    throw postgres::Error(ERRCODE_INVALID_PARAMETER_VALUE, "unknown counter");
}
