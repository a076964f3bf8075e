// Register-blocked products. Included inside a kernel's namespace, after simd.hpp.
//
// A panel holds PANEL pairs (two vectors) of every feature: panel[feature * PANEL + pair].

template <int N>
struct Int {
    static constexpr int value = N;
};

// Calls body(Int<rows>) for 1 <= rows <= R, so that tails are register-blocked too.
template <int R, class Body>
FEMBED_INLINE void with_rows(int rows, const Body& body) {
    if constexpr (R == 1) {
        body(Int<1>{});
    } else {
        if (rows == R) {
            body(Int<R>{});
        } else {
            with_rows<R - 1>(rows, body);
        }
    }
}

FEMBED_INLINE int smaller(int a, int b) { return a < b ? a : b; }

// sums[r][v] += sum_k a[r * a_row + k * a_step] * b[k * b_step + v * LANES]
template <int R, int V>
FEMBED_INLINE void accumulate(const float* a, int64_t a_row, int64_t a_step, const float* b,
                              int64_t b_step, int n, vec (&sums)[R][V]) {
    for (int k = 0; k < n; ++k) {
        vec right[V];
        FEMBED_UNROLL
        for (int v = 0; v < V; ++v) right[v] = load(b + v * LANES);
        FEMBED_UNROLL
        for (int r = 0; r < R; ++r) {
            const vec left = splat(a[r * a_row]);
            FEMBED_UNROLL
            for (int v = 0; v < V; ++v) sums[r][v] += left * right[v];
        }
        a += a_step;
        b += b_step;
    }
}

// A weight matrix (n_out x n_in) packed for `multiply`: blocks of ROWS outputs, input by input.
inline void pack(const float* weight, int n_out, int n_in, int64_t out_stride, int64_t in_stride,
                 float* packed) {
    for (int o = 0; o < n_out; o += ROWS) {
        const int rows = smaller(ROWS, n_out - o);
        for (int i = 0; i < n_in; ++i) {
            for (int r = 0; r < rows; ++r) {
                *packed++ = weight[(o + r) * out_stride + i * in_stride];
            }
        }
    }
}

// finish(o, low, high) receives the two vectors of output o of `packed` times the panel `in`.
template <class Finish>
FEMBED_INLINE void multiply(const float* packed, int n_out, int n_in, const float* in,
                            const Finish& finish) {
    for (int o = 0; o < n_out; o += ROWS) {
        with_rows<ROWS>(smaller(ROWS, n_out - o), [&](auto count) {
            constexpr int R = decltype(count)::value;
            vec sums[R][2] = {};
            accumulate<R, 2>(packed + int64_t(o) * n_in, 1, R, in, PANEL, n_in, sums);
            FEMBED_UNROLL
            for (int r = 0; r < R; ++r) finish(o + r, sums[r][0], sums[r][1]);
        });
    }
}

// out[r * out_row + c] += sum over panels and pairs of y[r] * x[c]
template <int R, int C>
FEMBED_NOINLINE void dot_block(const float* y, int64_t y_panel, const float* x, int64_t x_panel,
                             int n_panels, float* out, int64_t out_row) {
    vec sums[R][C] = {};
    for (int k = 0; k < n_panels; ++k) {
        FEMBED_UNROLL
        for (int half = 0; half < PANEL; half += LANES) {
            vec right[C];
            FEMBED_UNROLL
            for (int c = 0; c < C; ++c) right[c] = load(x + c * PANEL + half);
            FEMBED_UNROLL
            for (int r = 0; r < R; ++r) {
                const vec left = load(y + r * PANEL + half);
                FEMBED_UNROLL
                for (int c = 0; c < C; ++c) sums[r][c] += left * right[c];
            }
        }
        y += y_panel;
        x += x_panel;
    }
    // A copy, so that the sums above can stay in registers.
    constexpr int COUNT = (R * C + LANES - 1) / LANES * LANES;
    vec rows[COUNT] = {};
    FEMBED_UNROLL
    for (int r = 0; r < R; ++r) {
        FEMBED_UNROLL
        for (int c = 0; c < C; ++c) rows[r * C + c] = sums[r][c];
    }
    float totals[COUNT];
    FEMBED_UNROLL
    for (int i = 0; i < COUNT; i += LANES) store(totals + i, sum_rows(rows + i));
    for (int r = 0; r < R; ++r) {
        for (int c = 0; c < C; ++c) out[r * out_row + c] += totals[r * C + c];
    }
}

// out (n_y x n_x) += Y X', where row f of panel k of Y is y + k * y_panel + f * PANEL.
inline void add_dots(const float* y, int n_y, int64_t y_panel, const float* x, int n_x,
                     int64_t x_panel, int n_panels, float* out) {
    for (int r = 0; r < n_y; r += DOT_ROWS) {
        with_rows<DOT_ROWS>(smaller(DOT_ROWS, n_y - r), [&](auto rows) {
            constexpr int R = decltype(rows)::value;
            for (int c = 0; c < n_x; c += DOT_COLS) {
                with_rows<DOT_COLS>(smaller(DOT_COLS, n_x - c), [&](auto cols) {
                    constexpr int C = decltype(cols)::value;
                    dot_block<R, C>(y + r * PANEL, y_panel, x + c * PANEL, x_panel, n_panels,
                                    out + int64_t(r) * n_x + c, n_x);
                });
            }
        });
    }
}

// out[f] += sum over panels and pairs of row f; out has room for a multiple of LANES rows.
inline void add_row_sums(const float* y, int n_y, int64_t y_panel, int n_panels, float* out) {
    for (int f = 0; f < n_y; f += LANES) {
        const int rows = smaller(LANES, n_y - f);
        vec sums[LANES] = {};
        for (int k = 0; k < n_panels; ++k) {
            const float* panel = y + k * y_panel + int64_t(f) * PANEL;
            for (int r = 0; r < rows; ++r) {
                sums[r] += load(panel + r * PANEL) + load(panel + r * PANEL + LANES);
            }
        }
        store(out + f, load(out + f) + sum_rows(sums));
    }
}
