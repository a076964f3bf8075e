// For rows of the network's layers: adds up their gradients over the slots, and updates them.
#pragma once
#include <cstdint>

#include "adam.hpp"
#include "layout.hpp"
#include "memory.hpp"
#include "products.hpp"
#include "step.hpp"

namespace fembed::FEMBED_ISA {

struct LayerRows {
    int layer, begin, end;
};

// Divides the rows of all layers into jobs of about 2,048 weights.
class LayerJobs {
   public:
    explicit LayerJobs(const Layout& s) {
        int64_t most = 0;
        for (int l = 0; l <= s.n_hidden; ++l) most += s.outputs(l);
        jobs = reinterpret_cast<LayerRows*>(memory.grow(most * FLOATS));
        for (int l = 0; l <= s.n_hidden; ++l) {
            const int rows = WEIGHTS / s.inputs(l) > 1 ? WEIGHTS / s.inputs(l) : 1;
            for (int o = 0; o < s.outputs(l); o += rows) {
                jobs[n_jobs++] = {l, o, smaller(o + rows, s.outputs(l))};
            }
        }
    }
    int count() const { return n_jobs; }
    const LayerRows& operator[](int job) const { return jobs[job]; }

   private:
    static constexpr int WEIGHTS = 2048;
    static constexpr int64_t FLOATS = sizeof(LayerRows) / sizeof(float);
    Buffer memory;
    LayerRows* jobs;
    int n_jobs = 0;
};

class LayerUpdate {
   public:
    LayerUpdate(Training& training_, const Step& step_)
        : training(training_), s(training_.layout), work(training_.workspace), step(step_),
          update(training_.arrays, step_.adam, step_.learning_rate.network, step_.scale) {
        if (step.adam) update.at(*step.adam->network_count);
    }

    void run(const LayerRows& rows) {
        for (int o = rows.begin; o < rows.end; ++o) {
            if (rows.layer == 0) {
                add_up_first_layer(o);
            } else {
                add_up_slots(rows.layer, o);
            }
            if (step.gradients) write_gradients(rows.layer, o);
            if (step.adam) move(rows.layer, o);
        }
    }

   private:
    Training& training;
    const Layout& s;
    const Workspace& work;
    const Step& step;
    AdamUpdate update;

    // The offsets, in the flat network, of the weights and of the bias of output o of layer l.
    int64_t weight(int l, int o) const { return s.weight[l] + int64_t(o) * s.inputs(l); }
    int64_t bias(int l, int o) const { return s.bias[l] + o; }

    void add_up_slots(int l, int o) const {
        const int n_in = s.inputs(l);
        float* const row = work.network_gradient + weight(l, o);
        float sum = 0.0f;
        clear(row, n_in);
        for (int slot = 0; slot < step.partition.n_slots(); ++slot) {
            const float* const sums = work.upper_layer_sums.at(slot);
            add(row, sums + (weight(l, o) - s.first_layer), n_in);
            sum += sums[bias(l, o) - s.first_layer];
        }
        work.network_gradient[bias(l, o)] = sum;
    }

    void add_up_first_layer(int h) const {
        float* const row = work.network_gradient + weight(0, h);
        float sum = 0.0f;
        clear(row, s.d + s.e);
        for (int i = 0; i < step.partition.m; ++i) {
            const float slope = work.sample_sums.at(i)[h];
            const float* const u = work.old_samples.at(i);
            for (int c = 0; c < s.d; ++c) row[c] += slope * u[c];
            sum += slope;
        }
        for (int slot = 0; slot < step.partition.n_gene_slots; ++slot) {
            add(row + s.d, work.gene_side_sums.at(slot) + h * s.e_padded, s.e);
        }
        work.network_gradient[bias(0, h)] = sum;
    }

    void write_gradients(int l, int o) const {
        float* const out = step.gradients->network;
        const int64_t first = weight(l, o);
        for (int64_t i = first; i < first + s.inputs(l); ++i) {
            out[i] = step.scale * work.network_gradient[i];
        }
        out[bias(l, o)] = step.scale * work.network_gradient[bias(l, o)];
    }

    void move(int l, int o) {
        const int64_t row = weight(l, o), shift = bias(l, o);
        update.move<&Arrays::network>(row, s.inputs(l), work.network_gradient + row);
        update.move_one<&Arrays::network>(shift, work.network_gradient + shift);
        training.packed.pack_row(l, o);
    }
};

}  // namespace fembed::FEMBED_ISA
