// Runs a body in a subtransaction that ends with it.
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

// Runs `body` in a subtransaction, and commits the subtransaction when `body` returns. When `body` throws, the subtransaction
// is rolled back and the exception is passed on. Either way the memory context and the resource owner are restored.
template <typename Body>
void in_subtransaction(Body&& body) {
    detail::in_subtransaction(body, true);
}

// Does the same for a body that only looks, and always rolls back. The rollback gives back the locks that the body took and the
// snapshots that it pushed.
template <typename Body>
void in_subtransaction_rolled_back(Body&& body) {
    detail::in_subtransaction(body, false);
}

}  // namespace postgres
