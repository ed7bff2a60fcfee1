// Running a body in a subtransaction that ends with it.
#pragma once

#include <exception>

#include "postgres/error.hpp"
#include "postgres/pg.hpp"

namespace postgres {

// Commits the subtransaction when `body` returns; rolls it back and passes the exception on when it throws. Memory context
// and resource owner are those of before either way.
template <typename Body>
void in_subtransaction(Body&& body) {
    const MemoryContext memory = CurrentMemoryContext;
    const ResourceOwner owner = CurrentResourceOwner;
    guarded([=] {
        BeginInternalSubTransaction(nullptr);
        MemoryContextSwitchTo(memory);
    });
    std::exception_ptr failure;
    try {
        body();
    } catch (...) {
        failure = std::current_exception();
    }
    guarded([=, failed = static_cast<bool>(failure)] {
        if (failed)
            RollbackAndReleaseCurrentSubTransaction();
        else
            ReleaseCurrentSubTransaction();
        MemoryContextSwitchTo(memory);
        CurrentResourceOwner = owner;
    });
    if (failure) std::rethrow_exception(failure);
}

}  // namespace postgres
