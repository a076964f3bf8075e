// The offsets of every layer's weights and activations in their flat arrays.
#pragma once
#include <cstdint>

#include "interface.hpp"
#include "memory.hpp"

namespace fembed::FEMBED_ISA {

// The sizes of a model, and the offsets of each layer's weights and of their packed copies.
struct Layout {
    static constexpr int MOST = 32;  // the largest number of hidden layers
    int d, e, n_hidden, h1;
    int width[MOST];
    int64_t weight[MOST + 1], bias[MOST + 1];  // offsets in the flat network; [n_hidden] = output
    int64_t n_network, first_layer;            // numbers in all, and in layer 0 (with its bias)
    int64_t packed[MOST], packed_back[MOST];   // offsets in the packed copies, layers >= 1
    int64_t n_packed;
    int64_t hidden_offset[MOST + 1];  // rows before layer l in a panel of activations
    int64_t h1_padded, e_padded, d_padded;

    explicit Layout(const Shape& shape) {
        d = shape.d, e = shape.e, n_hidden = shape.n_hidden, h1 = shape.hidden[0];
        int64_t at = 0, pack_at = 0, hidden_at = 0;
        int n_in = d + e;
        for (int l = 0; l <= n_hidden; ++l) {
            const int n_out = l < n_hidden ? shape.hidden[l] : 1;
            weight[l] = at;
            bias[l] = at + int64_t(n_out) * n_in;
            at = bias[l] + n_out;
            if (l < n_hidden) {
                width[l] = n_out;
                hidden_offset[l] = hidden_at;
                hidden_at += n_out;
                if (l > 0) {
                    packed[l] = pack_at;
                    packed_back[l] = pack_at + int64_t(n_out) * n_in;
                    pack_at += 2 * int64_t(n_out) * n_in;
                }
            }
            if (l == 0) first_layer = at;
            n_in = n_out;
        }
        hidden_offset[n_hidden] = hidden_at;
        n_network = at;
        n_packed = pack_at;
        h1_padded = padded(h1), e_padded = padded(e), d_padded = padded(d);
    }
    int last() const { return width[n_hidden - 1]; }
    int inputs(int l) const { return l ? width[l - 1] : d + e; }
    int outputs(int l) const { return l < n_hidden ? width[l] : 1; }
    int64_t activations() const { return hidden_offset[n_hidden]; }
};

}  // namespace fembed::FEMBED_ISA
