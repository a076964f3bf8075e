// A kernel: this file is compiled once for every instruction set. FEMBED_ISA is the set's name,
// FEMBED_LANES the number of float32 values in its vectors.
#include "counts.hpp"
#include "decode.hpp"
#include "distances.hpp"
#include "interface.hpp"
#include "solve.hpp"
#include "trainer.hpp"

namespace fembed {

#define FEMBED_TEXT_(name) #name
#define FEMBED_TEXT(name) FEMBED_TEXT_(name)
#define FEMBED_JOIN_(a, b) a##b
#define FEMBED_JOIN(a, b) FEMBED_JOIN_(a, b)

namespace FEMBED_ISA {

static void train(const Model& model, const Adam& adam, const Steps& steps, int n_threads) {
    Trainer(model, steps, {&adam, nullptr}, n_threads).run();
}

static void gradients(const Model& model, const Steps& steps, const Arrays& out, int n_threads) {
    Trainer(model, steps, {nullptr, &out}, n_threads).run();
}

}  // namespace FEMBED_ISA

extern const Kernel FEMBED_JOIN(kernel_, FEMBED_ISA);
const Kernel FEMBED_JOIN(kernel_, FEMBED_ISA) = {
    FEMBED_TEXT(FEMBED_ISA),
    FEMBED_LANES,
    FEMBED_ISA::train,
    FEMBED_ISA::gradients,
    FEMBED_ISA::decode,
    FEMBED_ISA::solve,
    FEMBED_ISA::squared_distances,
    FEMBED_ISA::count_terms,
};

}  // namespace fembed
