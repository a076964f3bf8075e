// The named memory in which the steps of a run work.
#pragma once
#include <cstdint>

#include "counts.hpp"
#include "interface.hpp"
#include "layout.hpp"
#include "memory.hpp"
#include "network.hpp"
#include "partition.hpp"
#include "simd.hpp"

namespace fembed::FEMBED_ISA {

// The sizes of a workspace: for each, the most that any block of the run needs.
struct Capacity {
    int64_t samples = 0, panels = 0, panel_sums = 0, sample_sums = 0, slots = 0;

    void include(const Partition& block) {
        raise(samples, block.m);
        raise(panels, block.n_panels);
        raise(panel_sums, block.panel_sum(block.n_sample_slots, 0));
        raise(sample_sums, block.sample_sum(block.n_gene_slots, 0));
        raise(slots, block.n_slots());
    }

   private:
    static void raise(int64_t& most, int64_t value) { most = value > most ? value : most; }
};

// The memory for the current block, which all threads share.
struct Workspace {
    Rows old_samples;   // U before the step
    Rows sample_parts;  // W_u u of each sample
    Panels gene_parts, loading, bias;
    // Sums of gradients.
    Panels gene_sums, loading_sums, bias_sums;  // by sample slot and panel
    Rows sample_sums, skip_sums;                // by gene slot and sample
    Rows upper_layer_sums;                      // by slot: the layers above the first
    Rows gene_side_sums;                        // by gene slot: W_v, h1 x e_padded
    float* network_gradient;
    CountPanels counts;

    Workspace(Slices& slices, const Layout& s, const Arrays& arrays, const Counts* given,
              const Capacity& most)
        : old_samples(slices.rows(most.samples, s.d)),
          sample_parts(slices.rows(most.samples, s.h1_padded)),
          gene_parts(slices.panels(most.panels, s.h1)),
          loading(slices.panels(most.panels, arrays.loading ? s.d : 0)),
          bias(slices.panels(most.panels, arrays.bias ? 1 : 0)),
          gene_sums(slices.panels(most.panel_sums, s.h1)),
          loading_sums(slices.panels(most.panel_sums, arrays.loading ? s.d : 0)),
          bias_sums(slices.panels(most.panel_sums, arrays.bias ? 1 : 0)),
          sample_sums(slices.rows(most.sample_sums, s.h1_padded)),
          skip_sums(slices.rows(most.sample_sums, arrays.loading ? s.d_padded : 0)),
          upper_layer_sums(slices.rows(most.slots, padded(s.n_network - s.first_layer) + LANES)),
          gene_side_sums(slices.rows(Partition::MOST_SLOTS, s.h1 * s.e_padded)),
          network_gradient(slices.floats(s.n_network)), counts(slices, given, most.panels) {}

    GenePanel genes(int panel) const {
        return {gene_parts.at(panel), loading.at(panel), bias.at(panel)};
    }
};

// The memory of one thread while it works on a tile.
struct TileMemory {
    static constexpr int MOST_PANELS = 32;
    int64_t activations;  // their number for one panel of pairs
    float *hidden, *residuals;

    TileMemory(Slices& slices, const Layout& s)
        : activations(s.activations() * PANEL), hidden(slices.floats(panels(s) * activations)),
          residuals(slices.floats(panels(s) * PANEL)) {}

    // The number of panels per tile with which the activations stay in the second-level cache.
    static int panels(const Layout& s) {
        const int64_t bytes = s.activations() * PANEL * 4;
        const int64_t fit = (int64_t(FEMBED_TILE_KIB) << 10) / bytes;
        return fit < 4 ? 4 : fit > MOST_PANELS ? MOST_PANELS : int(fit);
    }
    float* hidden_of(int k) const { return hidden + k * activations; }
    // The activations of layer l in all panels of the tile.
    Features layer(const Layout& s, int l) const {
        return {hidden + s.hidden_offset[l] * PANEL, activations};
    }
};

// The memory of one thread while it works on the genes of a panel; both arrays are
// PANEL x e_padded.
struct GeneMemory {
    float *gradient, *rows;

    GeneMemory(Slices& slices, const Layout& s)
        : gradient(slices.floats(PANEL * s.e_padded)), rows(slices.floats(PANEL * s.e_padded)) {}
};

// A thread works either on a tile or on genes, so both use the same memory.
struct ThreadMemory {
    TileMemory tile;
    GeneMemory genes;

    ThreadMemory(Slices& slices, const Layout& s) : ThreadMemory(slices, Slices(slices), s) {}

   private:
    ThreadMemory(Slices& slices, Slices same, const Layout& s) : tile(slices, s), genes(same, s) {
        if (same.size() > slices.size()) slices = same;
    }
};

}  // namespace fembed::FEMBED_ISA
