// Squared distances between profiles and candidates, over each profile's observed genes.
#pragma once
#include <cstdint>

#include "interface.hpp"
#include "memory.hpp"
#include "simd.hpp"
#include "team.hpp"

namespace fembed::FEMBED_ISA {

// Several profiles, so that each candidate is read only once for all of them. The order of
// summation does not depend on how profiles are grouped.
struct ProfileGroup {
    static constexpr int MOST = 4;
    int64_t p, width;
    float *values, *weights;  // MOST x width; both 0 where unobserved or beyond the last gene

    ProfileGroup(Slices& slices, int64_t p_)
        : p(p_), width(padded(p_)), values(slices.floats(MOST * width)),
          weights(slices.floats(MOST * width)) {}

    void fill(const float* profiles, int count) const {
        clear(values, MOST * width);
        clear(weights, MOST * width);
        for (int i = 0; i < count; ++i) {
            for (int64_t j = 0; j < p; ++j) {
                const float x = profiles[i * p + j];
                values[i * width + j] = x == x ? x : 0.0f;
                weights[i * width + j] = x == x ? 1.0f : 0.0f;
            }
        }
    }

    // The distances of the first `count` profiles to one candidate; out has one row per profile.
    void distances(const float* candidate, int count, float* out, int64_t out_row) const {
        vec sums[MOST] = {};
        int64_t j = 0;
        for (; j + LANES <= p; j += LANES) {
            const vec right = load(candidate + j);
            FEMBED_UNROLL
            for (int i = 0; i < MOST; ++i) {
                const vec gap =
                    load(values + i * width + j) - load(weights + i * width + j) * right;
                sums[i] += gap * gap;
            }
        }
        for (int i = 0; i < count; ++i) {
            float sum = sum_lanes(sums[i]);
            for (int64_t t = j; t < p; ++t) {
                const float gap = values[i * width + t] - weights[i * width + t] * candidate[t];
                sum += gap * gap;
            }
            out[i * out_row] = sum;
        }
    }
};

inline void squared_distances(const Distances& job, int n_threads) {
    constexpr int MOST = ProfileGroup::MOST;
    const int64_t p = job.p;
    const OwnMemory<ProfileGroup> memory(n_threads, p);
#pragma omp parallel for schedule(dynamic, 1) num_threads(n_threads)
    for (int64_t first = 0; first < job.k; first += MOST) {
        const int count = job.k - first < MOST ? int(job.k - first) : MOST;
        const ProfileGroup group = memory.of(thread_number(), p);
        group.fill(job.profiles + first * p, count);
        for (int64_t c = 0; c < job.n_candidates; ++c) {
            group.distances(job.candidates + c * p, count, job.out + first * job.n_candidates + c,
                            job.n_candidates);
        }
    }
}

}  // namespace fembed::FEMBED_ISA
