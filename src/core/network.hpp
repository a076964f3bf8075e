// The network's forward and backward pass for a panel of pairs: one sample with PANEL genes.
#pragma once
#include <cstdint>

#include "interface.hpp"
#include "layout.hpp"
#include "memory.hpp"
#include "packed.hpp"
#include "products.hpp"
#include "simd.hpp"

namespace fembed::FEMBED_ISA {

// The inputs that a sample contributes to its pairs.
struct SampleInput {
    const float* part;  // W_u u, h1_padded
    const float* u;     // d
};

// The inputs that the genes of a panel contribute to their pairs; loading and bias are null if the
// model does not have them.
struct GenePanel {
    float* part;     // W_v v + b, h1 x PANEL
    float* loading;  // L, d x PANEL
    float* bias;     // c, PANEL
};

// Up to PANEL genes: those listed in an index, or consecutive ones from `first` on.
struct PanelGenes {
    const int32_t* index;  // null for consecutive genes
    int64_t first;
    int count;
    int64_t operator[](int i) const { return index ? index[i] : first + i; }
};

// Fills a panel with its genes' inputs; those of pairs without a gene are set to zero.
inline void fill_gene_panel(const Packed& packed, const Arrays& arrays, const PanelGenes& genes,
                            const GenePanel& panel) {
    const int d = packed.layout.d, e = packed.layout.e;
    const float* rows[PANEL];
    for (int i = 0; i < genes.count; ++i) rows[i] = arrays.v + genes[i] * e;
    packed.gene_part(rows, genes.count, panel.part);
    for (int i = 0; i < PANEL; ++i) {
        const int64_t gene = i < genes.count ? genes[i] : -1;
        if (panel.bias) panel.bias[i] = gene >= 0 ? arrays.bias[gene] : 0.0f;
        if (panel.loading) {
            for (int c = 0; c < d; ++c) {
                panel.loading[c * PANEL + i] = gene >= 0 ? arrays.loading[gene * d + c] : 0.0f;
            }
        }
    }
}

// Computes the activations and the prediction (two vectors, in `out`) of one panel. The activations
// are stored layer after layer: those of layer l begin at hidden + PANEL * hidden_offset[l].
FEMBED_INLINE void forward_panel(const Packed& packed, const SampleInput& sample,
                                 const GenePanel& genes, float* hidden, vec (&out)[2]) {
    const Layout& s = packed.layout;
    for (int h = 0; h < s.h1; ++h) {
        const vec a = splat(sample.part[h]);
        const float* b = genes.part + h * PANEL;
        store(hidden + h * PANEL, relu(a + load(b)));
        store(hidden + h * PANEL + LANES, relu(a + load(b + LANES)));
    }
    const float* below = hidden;
    for (int l = 1; l < s.n_hidden; ++l) {
        float* here = hidden + s.hidden_offset[l] * PANEL;
        const float* b = packed.bias(l);
        multiply(packed.forward(l), below, [&](int o, vec low, vec high) {
            const vec shift = splat(b[o]);
            store(here + o * PANEL, relu(low + shift));
            store(here + o * PANEL + LANES, relu(high + shift));
        });
        below = here;
    }
    vec even[2] = {splat(packed.output_bias()), splat(packed.output_bias())}, odd[2] = {};
    const float* w = packed.output_weight();
    int h = 0;
    for (; h + 1 < s.last(); h += 2) {
        const float* row = below + h * PANEL;
        even[0] += splat(w[h]) * load(row), even[1] += splat(w[h]) * load(row + LANES);
        odd[0] += splat(w[h + 1]) * load(row + PANEL);
        odd[1] += splat(w[h + 1]) * load(row + PANEL + LANES);
    }
    if (h < s.last()) {
        even[0] += splat(w[h]) * load(below + h * PANEL);
        even[1] += splat(w[h]) * load(below + h * PANEL + LANES);
    }
    for (int v = 0; v < 2; ++v) {
        out[v] = even[v] + odd[v];
        if (genes.bias) out[v] += load(genes.bias + v * LANES);
        if (genes.loading) {
            for (int c = 0; c < s.d; ++c) {
                out[v] += splat(sample.u[c]) * load(genes.loading + c * PANEL + v * LANES);
            }
        }
    }
}

// Overwrites the last layer's activations with the gradient of sum(seed * output) with
// respect to its pre-activations.
FEMBED_INLINE void backward_output(const Packed& packed, const vec (&seed)[2], float* hidden) {
    const Layout& s = packed.layout;
    float* top = hidden + s.hidden_offset[s.n_hidden - 1] * PANEL;
    const float* w = packed.output_weight();
    for (int h = 0; h < s.last(); ++h) {
        for (int v = 0; v < 2; ++v) {
            float* at = top + h * PANEL + v * LANES;
            store(at, where_positive(load(at), splat(w[h]) * seed[v]));
        }
    }
}

// The same one layer below: overwrites the activations of layer l - 1, from the gradient of layer
// l.
FEMBED_INLINE void backward_layer(const Packed& packed, int l, float* hidden) {
    const Layout& s = packed.layout;
    float* below = hidden + s.hidden_offset[l - 1] * PANEL;
    const float* here = hidden + s.hidden_offset[l] * PANEL;
    multiply(packed.backward(l), here, [&](int o, vec low, vec high) {
        float* at = below + o * PANEL;
        store(at, where_positive(load(at), low));
        store(at + LANES, where_positive(load(at + LANES), high));
    });
}

}  // namespace fembed::FEMBED_ISA
