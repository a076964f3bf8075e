// One kernel; compiled once for every instruction set, with FEMBED_ISA its name and
// FEMBED_LANES its float32 lanes.
#ifdef _OPENMP
#include <omp.h>
#endif

#include <cstddef>

#include "interface.hpp"

namespace fembed {
void* allocate_aligned(size_t bytes);
void free_aligned(void* memory);
void yield_processor();

#define FEMBED_TEXT_(name) #name
#define FEMBED_TEXT(name) FEMBED_TEXT_(name)
#define FEMBED_JOIN_(a, b) a##b
#define FEMBED_JOIN(a, b) FEMBED_JOIN_(a, b)

namespace FEMBED_ISA {

#ifdef _OPENMP
static inline int thread_number() { return omp_get_thread_num(); }
static inline int team_size() { return omp_get_num_threads(); }
#else
static inline int thread_number() { return 0; }
static inline int team_size() { return 1; }
#endif

#include "simd.hpp"
#include "team.hpp"

#include "blocks.hpp"
#include "network.hpp"
#include "step.hpp"
#include "solve.hpp"

static void train(const Shape& shape, const Arrays& arrays, const Adam& adam,
                  const float* expression, const Blocks& blocks, int n_threads, double* loss,
                  int64_t* n_observed) {
    Trainer(shape, arrays, expression, n_threads)
        .run(blocks, &adam, nullptr, loss, n_observed);
}

static void gradients(const Shape& shape, const Arrays& arrays, const float* expression,
                      const Blocks& blocks, int n_threads, const BlockGradients& out,
                      double* loss, int64_t* n_observed) {
    Trainer(shape, arrays, expression, n_threads).run(blocks, nullptr, &out, loss, n_observed);
}

}  // namespace FEMBED_ISA

extern const Kernel FEMBED_JOIN(kernel_, FEMBED_ISA);
const Kernel FEMBED_JOIN(kernel_, FEMBED_ISA) = {
    FEMBED_TEXT(FEMBED_ISA),        FEMBED_LANES,
    FEMBED_ISA::train,              FEMBED_ISA::gradients,
    FEMBED_ISA::decode,             FEMBED_ISA::solve,
    FEMBED_ISA::squared_distances,
};

}  // namespace fembed
