// The noise of genes: its own for each, and factors that genes share.
//
// With W the weights and F the factors of the observed genes, (F F' + W^-1)^-1 is
// W - W F (I + F' W F)^-1 F' W (Woodbury): all products are of rows that are multiplied by the root
// of their gene's weight, and what the factors take away is small matrices.
#pragma once
#include <cstdint>

#include "cholesky.hpp"
#include "counts.hpp"
#include "frozen.hpp"
#include "interface.hpp"
#include "layout.hpp"
#include "memory.hpp"
#include "products.hpp"
#include "simd.hpp"

namespace fembed::FEMBED_ISA {

constexpr int TILE = 8;  // panels whose rows are multiplied together

struct NoisePanels {
    Panels root_weight, factors;
    CountPanels counts;
    double* products;
    float* sums;

    NoisePanels(Slices& slices, const Counts* given, int64_t n_panels, int n_factors)
        : root_weight(slices.panels(n_panels, 1)), factors(slices.panels(n_panels, n_factors)),
          counts(slices, given, n_panels), products(slices.doubles(int64_t(n_factors) * n_factors)),
          sums(slices.floats(int64_t(n_factors) * n_factors + LANES)) {}
};

inline int tile_size(const FrozenModel& frozen, int64_t panel) {
    const int64_t left = frozen.n_panels - panel;
    return int(left < TILE ? left : TILE);
}

// Adds sign * rows' rows of a tile to the k x k matrix `to`: float32 within a tile, float64 over
// tiles.
inline void add_gram(Features rows, int k, int count, double sign, float* sums, double* to) {
    clear(sums, int64_t(k) * k);
    add_dots(rows, k, rows, k, count, sums);
    for (int i = 0; i < k * k; ++i) to[i] += sign * double(sums[i]);
}

inline void set_identity(double* matrix, int k) {
    for (int i = 0; i < k * k; ++i) matrix[i] = i % (k + 1) ? 0.0 : 1.0;
}

// By panel: the roots of the weights, the factors times them, and what is known of counts; I +
// F' W F over all genes.
struct FrozenNoise {
    const int n_factors;

    FrozenNoise(const Likelihood& given, const FrozenModel& frozen)
        : n_factors(given.factors ? given.n_factors : 0),
          panels(sliced<NoisePanels>(memory, 0, given.counts, frozen.n_panels, n_factors)) {
        for (int64_t k = 0; k < frozen.n_panels; ++k) {
            float* const root = panels.root_weight.at(k);
            for (int i = 0; i < PANEL; ++i) {
                const int64_t gene = k * PANEL + i;
                const bool real = gene < frozen.p;
                root[i] = real && given.weight ? __builtin_sqrtf(given.weight[gene]) : 1.0f;
                for (int f = 0; f < n_factors; ++f) {
                    panels.factors.at(k)[f * PANEL + i] =
                        real ? root[i] * given.factors[gene * n_factors + f] : 0.0f;
                }
            }
            if (given.counts) {
                panels.counts.fill(*given.counts, {nullptr, k * PANEL, frozen.genes_in(k)}, k);
            }
        }
        if (!n_factors) return;
        set_identity(panels.products, n_factors);
        for (int64_t k = 0; k < frozen.n_panels; k += TILE) {
            add_gram(factors(k), n_factors, tile_size(frozen, k), 1.0, panels.sums,
                     panels.products);
        }
    }
    const CountPanels& counts() const { return panels.counts; }
    const double* products() const { return panels.products; }
    const float* root_weight(int64_t panel) const { return panels.root_weight.at(panel); }
    Features factors(int64_t panel) const {
        return {panels.factors.at(panel), int64_t(n_factors) * PANEL};
    }

   private:
    Buffer memory;
    NoisePanels panels;
};

struct SharedNoiseMemory {  // a thread's own
    float *seen, *masked, *sums;
    double *factor, *shared;

    SharedNoiseMemory(Slices& slices, const Layout& s, int64_t n_panels, int k)
        : seen(slices.floats(k ? n_panels * PANEL : 0)),
          masked(slices.floats(int64_t(TILE) * k * PANEL)),
          sums(slices.floats(int64_t(k) * (k > s.d + 1 ? k : s.d + 1) + LANES)),
          factor(slices.doubles(int64_t(k) * k)), shared(slices.doubles(int64_t(k) * (s.d + 1))) {}
};

// What the factors take from the sums of one profile.
class SharedNoise {
   public:
    SharedNoise(const FrozenNoise& noise_, const FrozenModel& frozen_, const SharedNoiseMemory& own)
        : noise(noise_), frozen(frozen_), n_right(frozen_.layout.d + 1), memory(own) {}

    // The factor of I + F' W F over the genes that `profile` has; kept if those of the last one.
    // Where it lacks less than half of them, these are taken away from what all genes make.
    void observe(const float* profile) {
        const int k = noise.n_factors;
        if (!k) return;
        bool same = ready;
        int64_t n_seen = 0;
        for (int64_t j = 0; j < frozen.p; ++j) {
            const float seen = profile[j] == profile[j] ? 1.0f : 0.0f;
            same = same && memory.seen[j] == seen;
            memory.seen[j] = seen;
            n_seen += seen > 0.0f;
        }
        if (same) return;
        const bool lacks_few = 2 * n_seen > frozen.p;
        const float taken = lacks_few ? 0.0f : 1.0f;
        for (int64_t j = frozen.p; j < frozen.n_panels * PANEL; ++j) {
            memory.seen[j] = 1.0f - taken;  // there is no such gene
        }
        if (lacks_few) {
            for (int i = 0; i < k * k; ++i) memory.factor[i] = noise.products()[i];
        } else {
            set_identity(memory.factor, k);
        }
        for (int64_t panel = 0; panel < frozen.n_panels; panel += TILE) {
            const int count = tile_size(frozen, panel);
            if (!mask(panel, count, taken)) continue;
            const Features rows = {memory.masked, int64_t(k) * PANEL};
            add_gram(rows, k, count, lacks_few ? -1.0 : 1.0, memory.sums, memory.factor);
        }
        ready = factorize(memory.factor, k);
    }

    void begin() const {
        for (int i = 0; i < noise.n_factors * n_right; ++i) memory.shared[i] = 0.0;
    }
    // Adds F' W [r J] of a tile, whose rows are weighted, and zero where a gene is unobserved.
    void add(int64_t panel, int count, Features residuals, Features jacobian, bool derivatives) {
        const int k = noise.n_factors, d = n_right - 1;
        if (!k) return;
        float* const pulls = memory.sums;
        float* const slopes = memory.sums + k;
        clear(memory.sums, int64_t(k) * n_right);
        add_dots(noise.factors(panel), k, residuals, 1, count, pulls);
        if (derivatives) add_dots(noise.factors(panel), k, jacobian, d, count, slopes);
        for (int f = 0; f < k; ++f) {
            double* const row = memory.shared + int64_t(f) * n_right;
            row[0] += double(pulls[f]);
            for (int c = 0; c < d; ++c) row[1 + c] += double(slopes[f * d + c]);
        }
    }
    // Takes their share from the cost and, if wanted, the derivatives; returns that of the cost.
    double take(double* gradient, double* curvature, bool derivatives) const {
        const int k = noise.n_factors, d = n_right - 1;
        if (!k) return 0.0;
        if (!ready) return __builtin_nan("");  // factors too large for floats
        substitute_forward(memory.factor, k, memory.shared, n_right);
        double cost = 0.0;
        for (int f = 0; f < k; ++f) {
            const double* const row = memory.shared + int64_t(f) * n_right;
            cost += row[0] * row[0];
            if (!derivatives) continue;
            for (int a = 0; a < d; ++a) {
                gradient[a] -= row[0] * row[1 + a];
                for (int b = 0; b < d; ++b) curvature[a * d + b] -= row[1 + a] * row[1 + b];
            }
        }
        return cost;
    }

   private:
    const FrozenNoise& noise;
    const FrozenModel& frozen;
    const int n_right;
    const SharedNoiseMemory memory;
    bool ready = false;

    // The factors of the genes of a tile that are `taken`, zero for the others; false if none is.
    bool mask(int64_t panel, int count, float taken) const {
        const float* const seen = memory.seen + panel * PANEL;
        bool any = false;
        for (int i = 0; i < count * PANEL; ++i) any = any || seen[i] == taken;
        if (!any) return false;
        for (int t = 0; t < count; ++t) {
            const float* const from = noise.factors(panel + t).data;
            float* const to = memory.masked + int64_t(t) * noise.n_factors * PANEL;
            for (int f = 0; f < noise.n_factors * PANEL; ++f) {
                to[f] = seen[t * PANEL + f % PANEL] == taken ? from[f] : 0.0f;
            }
        }
        return true;
    }
};

}  // namespace fembed::FEMBED_ISA
