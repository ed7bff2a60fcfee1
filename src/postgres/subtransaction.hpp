// Running a body in a subtransaction that ends with it.
#pragma once

#include <exception>

#include "postgres/error.hpp"
#include "postgres/pg.hpp"

namespace postgres {

namespace detail {

template <typename Body>
void in_subtransaction(Body&& body, bool is_kept) {
    const MemoryContext memory = CurrentMemoryContext;
    const ResourceOwner owner = CurrentResourceOwner;
    guarded([=] {
        BeginInternalSubTransaction(nullptr);
        MemoryContextSwitchTo(memory);
    });
    std::exception_ptr thrown;
    try {
        body();
    } catch (...) {
        thrown = std::current_exception();
    }
    guarded([=, rolls_back = thrown || !is_kept] {
        if (rolls_back)
            RollbackAndReleaseCurrentSubTransaction();
        else
            ReleaseCurrentSubTransaction();
        MemoryContextSwitchTo(memory);
        CurrentResourceOwner = owner;
    });
    if (thrown) std::rethrow_exception(thrown);
}

}  // namespace detail

// Commits the subtransaction when `body` returns; rolls it back and passes the exception on when it throws. Memory context
// and resource owner are those of before either way.
template <typename Body>
void in_subtransaction(Body&& body) {
    detail::in_subtransaction(body, true);
}

// For a body that only looks: always rolls back, which gives back the locks it took and the snapshots it pushed.
template <typename Body>
void in_subtransaction_rolled_back(Body&& body) {
    detail::in_subtransaction(body, false);
}

}  // namespace postgres
