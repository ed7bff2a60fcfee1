// Makes a memory context of the server for the length of a scope.
#pragma once

#include "postgres/error.hpp"
#include "postgres/pg.hpp"

namespace postgres {

// A child of the current context. The scope must end before the transaction in which the parent lives.
class ScopedMemory {
public:
    // `name` is a string literal.
    explicit ScopedMemory(const char* name)
        : context_(
              guarded([name] { return AllocSetContextCreateInternal(CurrentMemoryContext, name, ALLOCSET_DEFAULT_SIZES); })) {}
    ScopedMemory(const ScopedMemory&) = delete;
    ScopedMemory& operator=(const ScopedMemory&) = delete;
    ~ScopedMemory() { MemoryContextDelete(context_); }

    MemoryContext get() const noexcept { return context_; }

private:
    MemoryContext context_;
};

}  // namespace postgres
