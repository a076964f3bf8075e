// One sample of a block: the gradient of its row of U, and its update.
#pragma once
#include <cstdint>

#include "adam.hpp"
#include "memory.hpp"
#include "products.hpp"
#include "step.hpp"

namespace fembed::FEMBED_ISA {

class SampleUpdate {
   public:
    SampleUpdate(const Training& training_, const Step& step_)
        : training(training_), s(training_.layout), work(training_.workspace), step(step_),
          update(training_.arrays, step_.adam, step_.learning_rate.samples, step_.scale) {}

    // i is the sample's index within the block.
    void run(int i) {
        const int64_t sample = step.samples[i];
        if (step.adam) update.at(++step.adam->u_count[sample]);
        add_up_slots(i);
        for (int first = 0; first < s.d; first += CHUNK) {
            const int count = smaller(CHUNK, s.d - first);
            float gradient[CHUNK] = {};
            add_gradient(i, first, count, gradient);
            if (step.gradients) {
                float* const out = step.gradients->u + int64_t(i) * s.d + first;
                for (int c = 0; c < count; ++c) out[c] = step.scale * gradient[c];
            }
            if (step.adam) {
                update.move<&Arrays::u>(sample * s.d + first, count, gradient);
            }
        }
    }

   private:
    static constexpr int CHUNK = 128;  // components at a time
    const Training& training;
    const Layout& s;
    const Workspace& work;
    const Step& step;
    AdamUpdate update;

    // Adds the sums of all gene slots to those of the first one, in the order of the slots.
    void add_up_slots(int i) const {
        for (int slot = 1; slot < step.partition.n_gene_slots; ++slot) {
            add(work.sample_sums.at(i), work.sample_sums.at(step.partition.sample_sum(slot, i)),
                s.h1_padded);
        }
    }

    // Adds the gradient through the network, and that through the linear skip.
    void add_gradient(int i, int first, int count, float* __restrict gradient) const {
        const float* const sum = work.sample_sums.at(i);
        for (int h = 0; h < s.h1; ++h) {
            const float* const row = training.arrays.network + int64_t(h) * (s.d + s.e) + first;
            for (int c = 0; c < count; ++c) gradient[c] += sum[h] * row[c];
        }
        if (!work.skip_sums) return;
        for (int slot = 0; slot < step.partition.n_gene_slots; ++slot) {
            add(gradient, work.skip_sums.at(step.partition.sample_sum(slot, i)) + first, count);
        }
    }
};

}  // namespace fembed::FEMBED_ISA
