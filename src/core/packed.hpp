// Copies of the network's weights in the orders in which the matrix products read them.
#pragma once
#include <cstdint>

#include "layout.hpp"
#include "memory.hpp"
#include "products.hpp"

namespace fembed::FEMBED_ISA {

struct Packed {
    const Layout& layout;
    const float* network;
    Buffer memory;
    float *layers, *sample_side, *gene_side, *gene_side_back;

    explicit Packed(const Layout& layout_, const float* network_)
        : layout(layout_), network(network_) {
        const int64_t samples = layout.d * layout.h1_padded;
        const int64_t genes = layout.e * layout.h1_padded;
        const int64_t genes_back = layout.h1 * layout.e_padded;
        layers = memory.grow(layout.n_packed + samples + genes + genes_back + LANES);
        sample_side = layers + layout.n_packed;
        gene_side = sample_side + samples;
        gene_side_back = gene_side + genes;
        for (int64_t i = 0; i < samples + genes + genes_back; ++i) sample_side[i] = 0.0f;
    }
    // Updates the packed copies of the weights of output o of layer l.
    void pack_row(int l, int o) {
        const Layout& s = layout;
        const int n_in = s.inputs(l);
        const float* row = network + s.weight[l] + int64_t(o) * n_in;
        if (l == s.n_hidden) return;  // the output layer has no packed copy
        if (l == 0) {
            for (int c = 0; c < s.d; ++c) sample_side[c * s.h1_padded + o] = row[c];
            for (int c = 0; c < s.e; ++c) {
                gene_side[c * s.h1_padded + o] = row[s.d + c];
                gene_side_back[o * s.e_padded + c] = row[s.d + c];
            }
            return;
        }
        const int n_out = s.width[l], block = o / ROWS * ROWS, rows = smaller(ROWS, n_out - block);
        float* const forward = layers + s.packed[l] + int64_t(block) * n_in + (o - block);
        for (int i = 0; i < n_in; ++i) forward[int64_t(i) * rows] = row[i];
        float* const back = layers + s.packed_back[l];
        for (int first = 0; first < n_in; first += ROWS) {
            const int width = smaller(ROWS, n_in - first);
            float* to = back + int64_t(first) * n_out + int64_t(o) * width;
            for (int i = 0; i < width; ++i) to[i] = row[first + i];
        }
    }
    void pack_all() {
        for (int l = 0; l < layout.n_hidden; ++l) {
            for (int o = 0; o < layout.width[l]; ++o) pack_row(l, o);
        }
    }
    PackedMatrix forward(int l) const {
        return {layers + layout.packed[l], layout.width[l], layout.width[l - 1]};
    }
    PackedMatrix backward(int l) const {
        return {layers + layout.packed_back[l], layout.width[l - 1], layout.width[l]};
    }
    const float* bias(int l) const { return network + layout.bias[l]; }
    const float* output_weight() const { return network + layout.weight[layout.n_hidden]; }
    float output_bias() const { return *bias(layout.n_hidden); }

    // out (h1_padded) = W_u u
    void sample_part(const float* u, float* out) const {
        const int64_t width = layout.h1_padded;
        for (int64_t h = 0; h < width; ++h) out[h] = 0.0f;
        for (int c = 0; c < layout.d; ++c) {
            const float* w = sample_side + c * width;
            for (int64_t h = 0; h < width; ++h) out[h] += u[c] * w[h];
        }
    }
    // out = W_v v + b for n <= PANEL genes, as a panel (h1 x PANEL); the rest of it is set to zero.
    void gene_part(const float* const* genes, int n, float* out) const {
        const float* b = bias(0);
        const int h1 = layout.h1;
        if (n < PANEL) {
            for (int64_t i = 0; i < int64_t(h1) * PANEL; ++i) out[i] = 0.0f;
        }
        for (int g = 0; g < n; g += ROWS) {
            with_rows<ROWS>(smaller(ROWS, n - g), [&](auto count) {
                constexpr int R = decltype(count)::value;
                int h = 0;
                for (; h + LANES < h1; h += PANEL) gene_block<R, 2>(genes + g, b, h, out + g);
                if (h < h1) gene_block<R, 1>(genes + g, b, h, out + g);
            });
        }
    }

   private:
    // Computes R genes x V vectors of first-layer units, and stores them transposed: one row per
    // unit, with the genes along the panel.
    template <int R, int V>
    FEMBED_NOINLINE void gene_block(const float* const* genes, const float* b, int h,
                                    float* out) const {
        const float* row[R];
        for (int r = 0; r < R; ++r) row[r] = genes[r];
        vec sums[R][V] = {};
        const float* side = gene_side + h;
        for (int k = 0; k < layout.e; ++k) {
            vec right[V];
            FEMBED_UNROLL
            for (int v = 0; v < V; ++v) right[v] = load(side + v * LANES);
            FEMBED_UNROLL
            for (int r = 0; r < R; ++r) {
                const vec left = splat(row[r][k]);
                FEMBED_UNROLL
                for (int v = 0; v < V; ++v) sums[r][v] += left * right[v];
            }
            side += layout.h1_padded;
        }
        const int lanes = smaller(V * LANES, layout.h1 - h);
        FEMBED_UNROLL
        for (int r = 0; r < R; ++r) {
            float values[V * LANES];
            FEMBED_UNROLL
            for (int v = 0; v < V; ++v) store(values + v * LANES, sums[r][v]);
            for (int i = 0; i < lanes; ++i) out[int64_t(h + i) * PANEL + r] = values[i] + b[h + i];
        }
    }
};

}  // namespace fembed::FEMBED_ISA
