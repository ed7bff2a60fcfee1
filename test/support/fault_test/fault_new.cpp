// operator new that can be told to fail. Preloaded (LD_PRELOAD), so that every library of the process uses it.
#include <cstdlib>
#include <new>

#include "fault.hpp"

constinit Fault fault{};

void* operator new(std::size_t size) {
    if (fails(Fault::kNew)) throw std::bad_alloc();
    if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
    throw std::bad_alloc();
}

void* operator new[](std::size_t size) {
    return ::operator new(size);
}

void operator delete(void* memory) noexcept {
    std::free(memory);
}

void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}

void operator delete[](void* memory) noexcept {
    std::free(memory);
}

void operator delete[](void* memory, std::size_t) noexcept {
    std::free(memory);
}
