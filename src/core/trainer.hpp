// A run of training steps. Each works on one block: forward pass, loss, all gradients, Adam.
#pragma once
#include <cstdint>

#include "gene_update.hpp"
#include "interface.hpp"
#include "layer_update.hpp"
#include "network.hpp"
#include "partition.hpp"
#include "sample_update.hpp"
#include "simd.hpp"
#include "step.hpp"
#include "team.hpp"
#include "tile.hpp"
#include "untouched.hpp"

namespace fembed::FEMBED_ISA {

// What is done with the gradients: exactly one of the two is given.
struct Purpose {
    const Adam* adam;         // move the parameters
    const Arrays* gradients;  // write them here
};

class Trainer {
   public:
    Trainer(const Model& model, const Steps& steps_, const Purpose& purpose_, int n_threads_)
        : steps(steps_), purpose(purpose_), n_threads(n_threads_),
          training(model, steps, capacity_for(steps.blocks), n_threads),
          layer_jobs(training.layout) {
        if (dense()) untouched.reserve(training);
    }

    void run() {
#pragma omp parallel num_threads(n_threads)
        {
            const int size = team_size();
            if (thread_number() == 0) team.open(size);
#pragma omp barrier
            for (int64_t t = 0; t < steps.blocks.count; ++t) one_step(t);
        }
    }

   private:
    const Steps& steps;
    const Purpose purpose;
    const int n_threads;
    Training training;
    const LayerJobs layer_jobs;
    UntouchedRows untouched;
    Team team;
    SlotTotals totals[Partition::MOST_SLOTS * 2];

    bool dense() const { return purpose.adam && !purpose.adam->lazy; }

    static Partition partition(const Blocks& blocks, int64_t t) {
        return {blocks.sample_offset[t + 1] - blocks.sample_offset[t],
                blocks.gene_offset[t + 1] - blocks.gene_offset[t]};
    }

    static Capacity capacity_for(const Blocks& blocks) {
        Capacity most;
        for (int64_t t = 0; t < blocks.count; ++t) most.include(partition(blocks, t));
        return most;
    }

    Step step_on(int64_t t) const {
        const Blocks& blocks = steps.blocks;
        LearningRates rates = {};
        if (purpose.adam) {
            const float* const given = purpose.adam->learning_rate + 3 * t;
            rates = {given[0], given[1], given[2]};
        }
        const int32_t* const samples = blocks.samples + blocks.sample_offset[t];
        const int32_t* const genes = blocks.genes + blocks.gene_offset[t];
        return {partition(blocks, t), samples, genes, rates, purpose.adam, purpose.gradients, 0.0f};
    }

    // Every thread calls this. A phase begins when all jobs of the previous phase are done.
    void one_step(int64_t t) {
        Step step = step_on(t);
        const Partition& block = step.partition;
        // The parts of the first layer: once per gene and once per sample.
        team.share(block.n_panels + block.n_groups(), [&](int job) {
            if (job < block.n_panels) {
                prepare_genes(step, job);
            } else {
                prepare_samples(step, block.group(job - block.n_panels));
            }
        });
        // The forward and backward pass of all pairs.
        team.share(block.n_slots(),
                   [&](int slot) { totals[slot] = SlotPass(training, step, slot).run(); });
        finish_loss(t, step);
        // The updates of genes and samples, with the old weights of the network.
        team.share(block.n_gene_slots + block.n_groups(), [&](int job) {
            if (job < block.n_gene_slots) {
                GeneUpdate(training, step).run(job);
            } else {
                update_samples(step, job - block.n_gene_slots);
            }
        });
        // The update of the network.
        team.share(layer_jobs.count(),
                   [&](int job) { LayerUpdate(training, step).run(layer_jobs[job]); });
        if (dense() && step.adam) untouched.move(team, training, step);
    }

    void prepare_genes(const Step& step, int panel) const {
        const PanelGenes genes = {step.genes + panel * PANEL, 0, step.partition.genes_in(panel)};
        fill_gene_panel(training.packed, training.arrays, genes, training.workspace.genes(panel));
        if (training.counts) training.workspace.counts.fill(*training.counts, genes, panel);
    }

    // Keeps the old places of the samples: they are updated before the network, whose gradient
    // needs the old ones.
    void prepare_samples(const Step& step, const Range& group) const {
        const int d = training.layout.d;
        for (int i = group.begin; i < group.end; ++i) {
            const float* const u = training.arrays.u + int64_t(step.samples[i]) * d;
            float* const old = training.workspace.old_samples.at(i);
            for (int c = 0; c < d; ++c) old[c] = u[c];
            training.packed.sample_part(u, training.workspace.sample_parts.at(i));
        }
    }

    // Every thread adds up the slots in their order; the first thread reports the sums. A block
    // without an observed entry changes no parameters.
    void finish_loss(int64_t t, Step& step) const {
        double loss = 0.0;
        int64_t count = 0;
        for (int slot = 0; slot < step.partition.n_slots(); ++slot) {
            loss += totals[slot].loss;
            count += totals[slot].n_observed;
        }
        if (thread_number() == 0) {
            steps.loss[t] = count ? loss / double(count) : 0.0;
            steps.n_observed[t] = count;
        }
        step.scale = count ? float(2.0 / double(count)) : 0.0f;
        if (!count) step.adam = nullptr;
    }

    void update_samples(const Step& step, int group) const {
        if (group == 0 && step.adam) ++*step.adam->network_count;
        const Range samples = step.partition.group(group);
        SampleUpdate update(training, step);
        for (int i = samples.begin; i < samples.end; ++i) update.run(i);
    }
};

}  // namespace fembed::FEMBED_ISA
