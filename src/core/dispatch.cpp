#include "dispatch.hpp"

namespace fembed {

extern const Kernel kernel_scalar;
#ifdef FEMBED_HAS_NEON
extern const Kernel kernel_neon;
#endif
#ifdef FEMBED_HAS_X86
extern const Kernel kernel_sse2;
extern const Kernel kernel_avx2;
extern const Kernel kernel_avx512;
#endif

std::vector<const Kernel*> supported_kernels() {
    std::vector<const Kernel*> found;
#ifdef FEMBED_HAS_X86
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw")) {
        found.push_back(&kernel_avx512);
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        found.push_back(&kernel_avx2);
    }
    if (__builtin_cpu_supports("sse2")) found.push_back(&kernel_sse2);
#endif
#ifdef FEMBED_HAS_NEON
    found.push_back(&kernel_neon);
#endif
    found.push_back(&kernel_scalar);
    return found;
}

const Kernel* kernel_named(const std::string& isa) {
    for (const Kernel* kernel : supported_kernels()) {
        if (isa.empty() || isa == kernel->name) return kernel;
    }
    return nullptr;
}

}  // namespace fembed
