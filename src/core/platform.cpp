#include "platform.hpp"

#include <new>
#include <thread>

namespace fembed {

constexpr std::align_val_t CACHE_LINE{64};

void* allocate_aligned(size_t bytes) { return ::operator new(bytes + 64, CACHE_LINE); }

void free_aligned(void* memory) {
    if (memory) ::operator delete(memory, CACHE_LINE);
}

void yield_processor() { std::this_thread::yield(); }

}  // namespace fembed
