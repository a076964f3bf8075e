// Chooses the kernel.
#pragma once
#include <string>
#include <vector>

#include "interface.hpp"

namespace fembed {

// Those that this processor can run, best first.
std::vector<const Kernel*> supported_kernels();

// The best one where the name is empty; null where this processor has none of that name.
const Kernel* kernel_named(const std::string& isa);

}  // namespace fembed
