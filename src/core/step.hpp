// What the parts of a training step share.
#pragma once
#include <cstdint>

#include "interface.hpp"
#include "layout.hpp"
#include "memory.hpp"
#include "packed.hpp"
#include "partition.hpp"
#include "team.hpp"
#include "workspace.hpp"

namespace fembed::FEMBED_ISA {

// A model in training; the same for every step of a run.
struct Training {
    Layout layout;
    Packed packed;
    Arrays arrays;
    const float* expression;
    const Counts* counts;  // null: measured values
    int64_t n, p;
    Buffer memory;
    Workspace workspace;
    OwnMemory<ThreadMemory> memory_of_threads;

    Training(const Model& model, const Steps& steps, const Capacity& most, int n_threads)
        : layout(model.shape), packed(layout, model.arrays.network), arrays(model.arrays),
          expression(steps.expression), counts(steps.counts), n(model.shape.n), p(model.shape.p),
          workspace(sliced<Workspace>(memory, LANES, layout, arrays, counts, most)),
          memory_of_threads(n_threads, layout) {
        packed.pack_all();
    }
    ThreadMemory own() const { return memory_of_threads.of(thread_number(), layout); }
};

struct LearningRates {
    float network, genes, samples;
};

// One step on one block; every thread has its own copy.
struct Step {
    Partition partition;
    const int32_t *samples, *genes;  // the block's rows of U and V
    LearningRates learning_rate;
    const Adam* adam;         // null if the parameters stay as they are
    const Arrays* gradients;  // null if they are not wanted
    float scale;  // 2 / n_observed: what turns sums of residual * derivative into a gradient
};

}  // namespace fembed::FEMBED_ISA
