// Chooses the kernel (the code for one instruction set) at run time.
#pragma once
#include <string>
#include <vector>

#include "interface.hpp"

namespace fembed {

// The kernels that this processor can run, best first.
std::vector<const Kernel*> supported_kernels();

// The kernel with this name, or null if this processor cannot run it; the best one if the name is
// empty.
const Kernel* kernel_named(const std::string& isa);

}  // namespace fembed
