// The prediction of every gene at points of the map.
#pragma once
#include <cstdint>

#include "frozen.hpp"
#include "interface.hpp"
#include "memory.hpp"
#include "network.hpp"
#include "simd.hpp"
#include "team.hpp"

namespace fembed::FEMBED_ISA {

struct DecodeMemory {  // each thread has its own
    float *part, *hidden;

    DecodeMemory(Slices& slices, const Layout& s)
        : part(slices.floats(s.h1_padded)), hidden(slices.floats(s.activations() * PANEL)) {}
};

inline void decode(const Model& model, const Decoding& job, int n_threads) {
    const FrozenModel frozen(model, n_threads);
    const Layout& s = frozen.layout;
    const OwnMemory<DecodeMemory> memory(n_threads, s);
#pragma omp parallel for schedule(dynamic, 1) num_threads(n_threads)
    for (int64_t i = 0; i < job.k; ++i) {
        const DecodeMemory own = memory.of(thread_number(), s);
        const SampleInput sample = {own.part, job.points + i * s.d};
        frozen.packed.sample_part(sample.u, own.part);
        for (int64_t panel = 0; panel < frozen.n_panels; ++panel) {
            vec value[2];
            forward_panel(frozen.packed, sample, frozen.genes(panel), own.hidden, value);
            float* const to = job.out + i * frozen.p + panel * PANEL;
            if (frozen.genes_in(panel) == PANEL) {
                store(to, value[0]);
                store(to + LANES, value[1]);
            } else {
                float values[PANEL];
                store(values, value[0]);
                store(values + LANES, value[1]);
                for (int j = 0; j < frozen.genes_in(panel); ++j) to[j] = values[j];
            }
        }
    }
}

}  // namespace fembed::FEMBED_ISA
