// The published recipe's Adam updates every row in every step; here are the rows that the block
// does not contain.
#pragma once
#include <cstdint>

#include "adam.hpp"
#include "memory.hpp"
#include "partition.hpp"
#include "step.hpp"
#include "team.hpp"

namespace fembed::FEMBED_ISA {

class UntouchedRows {
   public:
    // Call this before the threads start. A lazy Adam, which leaves these rows alone, does not need
    // it.
    void reserve(const Training& training) {
        const int64_t rows = training.n + training.p;
        samples = reinterpret_cast<unsigned char*>(memory.grow(ceil_div(rows, sizeof(float))));
        genes = samples + training.n;
        __builtin_memset(samples, 0, size_t(rows));
    }

    // Every thread of the team calls this.
    void move(Team& team, const Training& training, const Step& step) {
        const int64_t sample_jobs = ceil_div(training.n, GROUP);
        const int64_t gene_jobs = ceil_div(training.p, GROUP);
        team.share(1, [&](int) { mark(step, 1); });
        team.share(int(sample_jobs + gene_jobs), [&](int job) {
            if (job < sample_jobs) {
                move_samples(training, step, job * GROUP);
            } else {
                move_genes(training, step, (job - sample_jobs) * GROUP);
            }
        });
        team.share(1, [&](int) { mark(step, 0); });
    }

   private:
    static constexpr int64_t GROUP = 256;  // rows per job
    Buffer memory;
    unsigned char *samples = nullptr, *genes = nullptr;  // 1 if the block contains the row

    void mark(const Step& step, unsigned char touched) {
        for (int i = 0; i < step.partition.m; ++i) samples[step.samples[i]] = touched;
        for (int i = 0; i < step.partition.g; ++i) genes[step.genes[i]] = touched;
    }

    void move_samples(const Training& training, const Step& step, int64_t begin) const {
        const int d = training.layout.d;
        const int64_t end = begin + GROUP < training.n ? begin + GROUP : training.n;
        AdamUpdate update(training.arrays, step.adam, step.learning_rate.samples, step.scale);
        for (int64_t i = begin; i < end; ++i) {
            if (samples[i]) continue;
            update.at(++step.adam->u_count[i]);
            update.drift<&Arrays::u>(i * d, d);
        }
    }

    void move_genes(const Training& training, const Step& step, int64_t begin) const {
        const int d = training.layout.d, e = training.layout.e;
        const int64_t end = begin + GROUP < training.p ? begin + GROUP : training.p;
        AdamUpdate update(training.arrays, step.adam, step.learning_rate.genes, step.scale);
        for (int64_t j = begin; j < end; ++j) {
            if (genes[j]) continue;
            update.at(++step.adam->v_count[j]);
            update.drift<&Arrays::v>(j * e, e);
            if (training.arrays.bias) update.drift<&Arrays::bias>(j, 1);
            if (training.arrays.loading) update.drift<&Arrays::loading>(j * d, d);
        }
    }
};

}  // namespace fembed::FEMBED_ISA
