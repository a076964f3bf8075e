// How well a profile is predicted at a point of the map: the cost of a `Likelihood`, and its
// derivatives. For measured values this is a generalised sum of squares. For counts it is a
// deviance, and a step of Fisher scoring is one of least squares: with the roots of the Fisher
// weights times the derivatives of the predictions in place of these, and Pearson residuals.
#pragma once
#include <cstdint>

#include "counts.hpp"
#include "frozen.hpp"
#include "interface.hpp"
#include "layout.hpp"
#include "memory.hpp"
#include "network.hpp"
#include "noise.hpp"
#include "products.hpp"
#include "simd.hpp"

namespace fembed::FEMBED_ISA {

struct LeastSquaresMemory {  // a thread's own
    float *part, *jacobian, *residuals, *hidden, *products, *u;
    SharedNoiseMemory shared;

    LeastSquaresMemory(Slices& slices, const Layout& s, int64_t n_panels, int n_factors)
        : part(slices.floats(s.h1_padded)), jacobian(slices.floats(int64_t(TILE) * s.d * PANEL)),
          residuals(slices.floats(TILE * PANEL)), hidden(slices.floats(s.activations() * PANEL)),
          products(slices.floats(int64_t(s.d) * (s.d + 1) + LANES)), u(slices.floats(s.d)),
          shared(slices, s, n_panels, n_factors) {}
};

// What is to be placed: its values, and what is known of them if they are counts.
struct Profile {
    const float* values;
    CountRow counts;
};

// A point with the derivatives there: half the cost's gradient, downhill, and half its curvature
// where the residuals' own is left out, J' S^-1 r - P (u - mean) and J' S^-1 J + P; for counts, its
// expectation.
struct Expansion {
    double *u, *gradient, *curvature;

    Expansion(Slices& slices, int d)
        : u(slices.doubles(d)), gradient(slices.doubles(d)),
          curvature(slices.doubles(int64_t(d) * d)) {}
};

class LeastSquares {
   public:
    // side_back: W_u, packed to be multiplied from the left
    LeastSquares(const FrozenModel& frozen_, const float* side_back_, const FrozenNoise& noise_,
                 const Likelihood& likelihood_, const LeastSquaresMemory& own)
        : frozen(frozen_), s(frozen_.layout), side_back{side_back_, s.d, s.h1}, noise(noise_),
          likelihood(likelihood_), shared(noise_, frozen_, own.shared), memory(own) {}

    int64_t n_observed() const { return observed; }

    // To be called before a profile is evaluated.
    void observe(const Profile& profile) { shared.observe(profile.values); }

    // The cost at point.u (float32 values) and, if wanted, the derivatives there.
    double evaluate(const Profile& profile, const Expansion& point, bool derivatives) {
        const int d = s.d;
        for (int c = 0; c < d; ++c) memory.u[c] = float(point.u[c]);
        for (int c = 0; c < d; ++c) point.gradient[c] = 0.0;
        for (int64_t c = 0; c < int64_t(d) * d; ++c) point.curvature[c] = 0.0;
        frozen.packed.sample_part(memory.u, memory.part);
        shared.begin();
        double cost = 0.0;
        observed = 0;
        for (int64_t panel = 0; panel < frozen.n_panels; panel += TILE) {
            const int64_t left = frozen.n_panels - panel;
            const int count = int(left < TILE ? left : TILE);
            PanelTotals totals = {};
            for (int k = 0; k < count; ++k) {
                if (likelihood.counts) {
                    expand<true>(profile, panel + k, k, derivatives, totals);
                } else {
                    expand<false>(profile, panel + k, k, derivatives, totals);
                }
            }
            cost += double(sum_lanes(totals.cost));
            observed += int64_t(sum_lanes(totals.observed));
            if (derivatives) add_products(point, count);
            shared.add(panel, count, residuals(), jacobian(), derivatives);
        }
        cost -= shared.take(point.gradient, point.curvature, derivatives);
        return cost + add_prior(point);
    }

   private:
    struct PanelTotals {
        vec cost, observed;
    };
    const FrozenModel& frozen;
    const Layout& s;
    const PackedMatrix side_back;
    const FrozenNoise& noise;
    const Likelihood& likelihood;
    SharedNoise shared;
    const LeastSquaresMemory memory;
    int64_t observed = 0;

    Features jacobian() const { return {memory.jacobian, int64_t(s.d) * PANEL}; }
    Features residuals() const { return {memory.residuals, PANEL}; }

    // Residuals and derivatives of one panel, the k-th of its tile, times the roots of the genes'
    // weights. The prediction is one number a gene, so one backward pass gives its whole gradient
    // in u.
    template <bool COUNTS>
    FEMBED_INLINE void expand(const Profile& profile, int64_t panel, int k, bool derivatives,
                              PanelTotals& totals) const {
        const GenePanel genes = frozen.genes(panel);
        const int count = frozen.genes_in(panel), d = s.d;
        float target[PANEL];
        for (int i = 0; i < count; ++i) target[i] = profile.values[panel * PANEL + i];
        for (int i = count; i < PANEL; ++i) target[i] = __builtin_nanf("");
        vec value[2], seed[2];
        forward_panel(frozen.packed, {memory.part, memory.u}, genes, memory.hidden, value);
        for (int v = 0; v < 2; ++v) {
            const vec x = load(target + v * LANES);
            const vec root = load(noise.root_weight(panel) + v * LANES);
            vec residual;
            if constexpr (COUNTS) {
                const CountTerms terms =
                    noise.counts().terms(profile.counts, panel, v, value[v], x);
                const vec root_fisher = square_root(terms.weight);
                residual = zero_if_nan(x, -terms.slope / root_fisher * root);
                seed[v] = zero_if_nan(x, root_fisher * root);
                totals.cost += zero_if_nan(x, 2.0f * terms.half_deviance * root * root);
            } else {
                residual = zero_if_nan(x, (x - value[v]) * root);
                seed[v] = zero_if_nan(x, root);
                totals.cost += residual * residual;
            }
            totals.observed += zero_if_nan(x, splat(1.0f));
            store(memory.residuals + k * PANEL + v * LANES, residual);
        }
        if (!derivatives) return;
        backward_output(frozen.packed, seed, memory.hidden);
        for (int l = s.n_hidden - 1; l > 0; --l) backward_layer(frozen.packed, l, memory.hidden);
        float* const rows = memory.jacobian + int64_t(k) * d * PANEL;
        multiply(side_back, memory.hidden, [&](int c, vec low, vec high) {
            if (genes.loading) {
                low += load(genes.loading + c * PANEL) * seed[0];
                high += load(genes.loading + c * PANEL + LANES) * seed[1];
            }
            store(rows + c * PANEL, low);
            store(rows + c * PANEL + LANES, high);
        });
    }

    // Float32 within a tile, float64 over tiles.
    void add_products(const Expansion& point, int count) const {
        const int d = s.d;
        float* const curvature = memory.products;
        float* const gradient = curvature + d * d;
        clear(memory.products, d * (d + 1));
        add_dots(jacobian(), d, jacobian(), d, count, curvature);
        add_dots(residuals(), 1, jacobian(), d, count, gradient);
        for (int c = 0; c < d * d; ++c) point.curvature[c] += double(curvature[c]);
        for (int c = 0; c < d; ++c) point.gradient[c] += double(gradient[c]);
    }

    // Returns what the prior adds to the cost.
    double add_prior(const Expansion& point) const {
        if (!likelihood.precision) return 0.0;
        double cost = 0.0;
        for (int a = 0; a < s.d; ++a) {
            const double* const row = likelihood.precision + int64_t(a) * s.d;
            double pull = 0.0;
            for (int b = 0; b < s.d; ++b) {
                pull += row[b] * (point.u[b] - likelihood.mean[b]);
                point.curvature[a * s.d + b] += row[b];
            }
            point.gradient[a] -= pull;
            cost += pull * (point.u[a] - likelihood.mean[a]);
        }
        return cost;
    }
};

}  // namespace fembed::FEMBED_ISA
