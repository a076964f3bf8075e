// The network on panels of pairs. Included inside a kernel's namespace, after blocks.hpp.

FEMBED_INLINE int64_t padded(int64_t count) { return (count + LANES - 1) / LANES * LANES; }

// Aligned memory, released when it leaves its scope.
struct Buffer {
    float* data = nullptr;
    Buffer() = default;
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    ~Buffer() { release(); }
    float* grow(int64_t count) {  // contents are not kept
        if (count > capacity) {
            release();
            data = static_cast<float*>(allocate_aligned(size_t(count) * sizeof(float)));
            capacity = count;
        }
        return data;
    }

   private:
    int64_t capacity = 0;
    void release() {
        free_aligned(data);
        data = nullptr;
        capacity = 0;
    }
};

// Where each layer's weights, and their packed copies, lie.
struct Layout {
    static constexpr int MOST = 32;  // hidden layers
    int d, e, n_hidden, h1;
    int width[MOST];
    int64_t weight[MOST + 1], bias[MOST + 1];  // offsets in the flat network; [n_hidden] = output
    int64_t n_network, first_layer;            // weights in all, and those of layer 0 with bias
    int64_t packed[MOST], packed_back[MOST];   // offsets in the packed copies, layers >= 1
    int64_t n_packed;
    int64_t hidden_offset[MOST + 1];           // floats before layer l in a panel of activations
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
    int64_t activations() const { return hidden_offset[n_hidden]; }
};

// The network's weights in the orders that the products want.
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
    // Brings the packed copies of output o of layer l up to date.
    void pack_row(int l, int o) {
        const Layout& s = layout;
        const int n_in = l ? s.width[l - 1] : s.d + s.e;
        const float* row = network + s.weight[l] + int64_t(o) * n_in;
        if (l == s.n_hidden) return;  // the output layer is read as it is
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
    // out: a panel (h1 x PANEL) of W_v v + b for n <= PANEL genes; the rest of it becomes zero.
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
    // R genes x V vectors of the first layer, written with the genes along the panel.
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

// Gene-wise terms outside the network, by panel: the skip L and the bias c.
struct GeneTerms {
    const float* loading;  // d x PANEL, or null
    const float* bias;     // PANEL, or null
};

// Activations of one panel are layer after layer: layer l at PANEL * hidden_offset[l].
// Returns the prediction in two vectors.
FEMBED_INLINE void forward_panel(const Packed& packed, const float* sample_part, const float* u,
                                 const float* gene_part, const GeneTerms& terms, float* hidden,
                                 vec (&out)[2]) {
    const Layout& s = packed.layout;
    for (int h = 0; h < s.h1; ++h) {
        const vec a = splat(sample_part[h]);
        const float* b = gene_part + h * PANEL;
        store(hidden + h * PANEL, relu(a + load(b)));
        store(hidden + h * PANEL + LANES, relu(a + load(b + LANES)));
    }
    const float* below = hidden;
    for (int l = 1; l < s.n_hidden; ++l) {
        float* here = hidden + s.hidden_offset[l] * PANEL;
        const float* b = packed.bias(l);
        multiply(packed.layers + s.packed[l], s.width[l], s.width[l - 1], below,
                 [&](int o, vec low, vec high) {
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
        if (terms.bias) out[v] += load(terms.bias + v * LANES);
        if (terms.loading) {
            for (int c = 0; c < s.d; ++c) {
                out[v] += splat(u[c]) * load(terms.loading + c * PANEL + v * LANES);
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

// The same one layer down: the activations of layer l - 1 from the gradient at layer l.
FEMBED_INLINE void backward_layer(const Packed& packed, int l, float* hidden) {
    const Layout& s = packed.layout;
    float* below = hidden + s.hidden_offset[l - 1] * PANEL;
    multiply(packed.layers + s.packed_back[l], s.width[l - 1], s.width[l],
             hidden + s.hidden_offset[l] * PANEL, [&](int o, vec low, vec high) {
                 float* at = below + o * PANEL;
                 store(at, where_positive(load(at), low));
                 store(at + LANES, where_positive(load(at + LANES), high));
             });
}

// Copies the gene-wise rows of up to PANEL genes into panels; missing pairs are zero.
inline void gather_terms(const Arrays& arrays, int d, const int32_t* genes, int64_t first, int n,
                         float* loading, float* bias) {
    for (int i = 0; i < PANEL; ++i) {
        const int64_t gene = i < n ? (genes ? genes[i] : first + i) : -1;
        if (bias) bias[i] = gene >= 0 ? arrays.bias[gene] : 0.0f;
        if (loading) {
            for (int c = 0; c < d; ++c) {
                loading[c * PANEL + i] = gene >= 0 ? arrays.loading[gene * d + c] : 0.0f;
            }
        }
    }
}
