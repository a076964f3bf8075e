// What the kernels need from the operating system. The definitions are compiled once, for the
// oldest processor: a kernel that used templates of the standard library could leave copies of
// them in the program that older processors cannot run.
#pragma once
#include <cstddef>

namespace fembed {

void* allocate_aligned(size_t bytes);  // aligned to 64 bytes, with 64 unused bytes after it
void free_aligned(void* memory);       // may be null
void yield_processor();

}  // namespace fembed
