// What the kernels ask of the machine. The definitions are compiled once, for the oldest
// processor: a kernel that used the standard library's templates could leave copies of them
// that older processors cannot run.
#pragma once
#include <cstddef>

namespace fembed {

void* allocate_aligned(size_t bytes);  // on a border of 64 bytes, with 64 bytes of room after it
void free_aligned(void* memory);       // or null
void yield_processor();

}  // namespace fembed
