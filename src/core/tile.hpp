// The forward and backward pass for all pairs of a slot, one tile at a time. It gives the loss, and
// the gradients that need activations.
#pragma once
#include <cstdint>

#include "counts.hpp"
#include "memory.hpp"
#include "network.hpp"
#include "products.hpp"
#include "simd.hpp"
#include "step.hpp"

namespace fembed::FEMBED_ISA {

// The sums are in float32 within a tile, and in float64 over tiles.
struct SlotTotals {
    double loss;
    int64_t n_observed;
};

// Some panels of pairs, whose activations are in memory at the same time.
struct Tile {
    struct Pairs {
        int sample, panel;  // indices within the block
    };
    int count = 0;
    Pairs pairs[TileMemory::MOST_PANELS];
};

class SlotPass {
   public:
    SlotPass(const Training& training_, const Step& step_, int index)
        : training(training_), s(training_.layout), work(training_.workspace), step(step_),
          slot(step_.partition.slot(index)), memory(training_.own().tile),
          layer_sums(work.upper_layer_sums.at(index)) {}

    SlotTotals run() {
        clear_sums();
        const int most = TileMemory::panels(s);
        Tile tile;
        for (int panel = slot.panels.begin; panel < slot.panels.end; ++panel) {
            for (int i = slot.samples.begin; i < slot.samples.end; ++i) {
                tile.pairs[tile.count++] = {i, panel};
                if (tile.count == most) {
                    pass(tile);
                    tile.count = 0;
                }
            }
        }
        if (tile.count) pass(tile);
        return totals;
    }

   private:
    const Training& training;
    const Layout& s;
    const Workspace& work;
    const Step& step;
    const Slot slot;
    const TileMemory memory;
    float* const layer_sums;
    SlotTotals totals = {0.0, 0};

    int64_t panel_sum(int panel) const { return step.partition.panel_sum(slot.sample_slot, panel); }
    int64_t sample_sum(int i) const { return step.partition.sample_sum(slot.gene_slot, i); }
    float* weight_sum(int l) const { return layer_sums + s.weight[l] - s.first_layer; }
    float* bias_sum(int l) const { return layer_sums + s.bias[l] - s.first_layer; }

    void clear_sums() const {
        const int64_t begin = panel_sum(slot.panels.begin), end = panel_sum(slot.panels.end);
        work.gene_sums.clear(begin, end);
        if (work.loading_sums) work.loading_sums.clear(begin, end);
        if (work.bias_sums) work.bias_sums.clear(begin, end);
        const int64_t first = sample_sum(slot.samples.begin), last = sample_sum(slot.samples.end);
        work.sample_sums.clear(first, last);
        if (work.skip_sums) work.skip_sums.clear(first, last);
        work.upper_layer_sums.clear(slot.index, slot.index + 1);
    }

    void pass(const Tile& tile) {
        if (training.counts) {
            forward<true>(tile);
        } else {
            forward<false>(tile);
        }
        backward_to_output(tile);
        for (int l = s.n_hidden - 1; l > 0; --l) backward_through(tile, l);
        add_first_layer(tile);
    }

    // Stores the activations and residuals of every pair for the backward pass. A residual is half
    // the derivative of the pair's loss in the prediction; the loss of a count is its unit
    // deviance.
    template <bool COUNTS>
    void forward(const Tile& tile) {
        vec losses = {}, observed = {};
        for (int k = 0; k < tile.count; ++k) {
            const Tile::Pairs& pairs = tile.pairs[k];
            if (k + 1 < tile.count) prefetch_target(tile.pairs[k + 1]);
            float target[PANEL];
            gather_target(pairs, target);
            const SampleInput sample = {
                work.sample_parts.at(pairs.sample),
                training.arrays.u + int64_t(step.samples[pairs.sample]) * s.d};
            const GenePanel genes = work.genes(pairs.panel);
            CountRow row;
            if constexpr (COUNTS) row = {*training.counts, step.samples[pairs.sample]};
            vec residual[2];
            forward_panel(training.packed, sample, genes, memory.hidden_of(k), residual);
            for (int v = 0; v < 2; ++v) {
                const vec x = load(target + v * LANES);
                if constexpr (COUNTS) {
                    const CountTerms terms = work.counts.terms(row, pairs.panel, v, residual[v], x);
                    residual[v] = zero_if_nan(x, terms.slope);
                    losses += zero_if_nan(x, 2.0f * terms.half_deviance);
                } else {
                    residual[v] = zero_if_nan(x, residual[v] - x);
                    losses += residual[v] * residual[v];
                }
                observed += zero_if_nan(x, splat(1.0f));
                store(memory.residuals + k * PANEL + v * LANES, residual[v]);
            }
            if (genes.bias) add_bias(pairs, residual);
            if (genes.loading) add_loading(pairs, sample.u, genes.loading, residual);
        }
        totals.loss += double(sum_lanes(losses));
        totals.n_observed += int64_t(sum_lanes(observed));
    }

    const float* profile(const Tile::Pairs& pairs) const {
        return training.expression + int64_t(step.samples[pairs.sample]) * training.p;
    }

    // In a large matrix, every entry of a block is a cache miss of its own. The function is inlined
    // because GCC believes that a function that only prefetches has no effect, and drops the call.
    FEMBED_INLINE void prefetch_target(const Tile::Pairs& pairs) const {
        const float* const row = profile(pairs);
        const int32_t* const which = step.genes + pairs.panel * PANEL;
        for (int i = 0; i < step.partition.genes_in(pairs.panel); ++i) {
            __builtin_prefetch(row + which[i]);
        }
    }

    void gather_target(const Tile::Pairs& pairs, float* target) const {
        const float* const row = profile(pairs);
        const int32_t* const which = step.genes + pairs.panel * PANEL;
        const int count = step.partition.genes_in(pairs.panel);
        for (int i = 0; i < count; ++i) target[i] = row[which[i]];
        for (int i = count; i < PANEL; ++i) target[i] = __builtin_nanf("");
    }

    FEMBED_INLINE void add_bias(const Tile::Pairs& pairs, const vec (&residual)[2]) const {
        float* const sum = work.bias_sums.at(panel_sum(pairs.panel));
        for (int v = 0; v < 2; ++v) store(sum + v * LANES, load(sum + v * LANES) + residual[v]);
    }

    // Adds the gradients that the linear skip gives: those of L, and those of U through L.
    FEMBED_INLINE void add_loading(const Tile::Pairs& pairs, const float* u, const float* loading,
                                   const vec (&residual)[2]) const {
        float* const sum = work.loading_sums.at(panel_sum(pairs.panel));
        float* const skip = work.skip_sums.at(sample_sum(pairs.sample));
        for (int first = 0; first < s.d; first += LANES) {
            vec products[LANES] = {};
            const int rows = smaller(LANES, s.d - first);
            for (int r = 0; r < rows; ++r) {
                const int c = first + r;
                for (int v = 0; v < 2; ++v) {
                    const int64_t at = int64_t(c) * PANEL + v * LANES;
                    store(sum + at, load(sum + at) + splat(u[c]) * residual[v]);
                    products[r] += load(loading + at) * residual[v];
                }
            }
            store(skip + first, load(skip + first) + sum_rows(products));
        }
    }

    void backward_to_output(const Tile& tile) const {
        const Features residuals = {memory.residuals, PANEL};
        const int output = s.n_hidden;
        add_dots(residuals, 1, memory.layer(s, output - 1), s.last(), tile.count,
                 weight_sum(output));
        add_row_sums_exactly(residuals, 1, tile.count, bias_sum(output));
        for (int k = 0; k < tile.count; ++k) {
            const float* const residual = memory.residuals + k * PANEL;
            const vec seed[2] = {load(residual), load(residual + LANES)};
            backward_output(training.packed, seed, memory.hidden_of(k));
        }
    }

    void backward_through(const Tile& tile, int l) const {
        const Features here = memory.layer(s, l);
        add_dots(here, s.width[l], memory.layer(s, l - 1), s.width[l - 1], tile.count,
                 weight_sum(l));
        add_row_sums_exactly(here, s.width[l], tile.count, bias_sum(l));
        for (int k = 0; k < tile.count; ++k) {
            backward_layer(training.packed, l, memory.hidden_of(k));
        }
    }

    // The first layer is linear in [u; v]: its gradients need only sums over pairs.
    void add_first_layer(const Tile& tile) const {
        const int h1 = s.h1;
        for (int k = 0; k < tile.count; ++k) {
            const float* const rows = memory.hidden_of(k);
            float* const gene = work.gene_sums.at(panel_sum(tile.pairs[k].panel));
            for (int64_t i = 0; i < int64_t(h1) * PANEL; i += LANES) {
                store(gene + i, load(gene + i) + load(rows + i));
            }
            add_row_sums({rows, 0}, h1, 1, work.sample_sums.at(sample_sum(tile.pairs[k].sample)));
        }
    }
};

}  // namespace fembed::FEMBED_ISA
