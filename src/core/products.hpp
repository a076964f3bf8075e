// Register-blocked matrix products.
//
// A panel holds the values of all features for PANEL pairs (two vectors):
// panel[feature * PANEL + pair].
#pragma once
#include <cstdint>

#include "simd.hpp"

namespace fembed::FEMBED_ISA {

template <int N>
struct Int {
    static constexpr int value = N;
};

// Calls body(Int<rows>) for 1 <= rows <= R, so that the last, incomplete block of rows is
// register-blocked, too.
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

// Scalars to broadcast: the one of row r at step k is data[r * row + k * step].
struct Scalars {
    const float* data;
    int64_t row, step;
};

// Consecutive vectors for every step: those of step k begin at data + k * step.
struct Vectors {
    const float* data;
    int64_t step;
};

// sums[r][v] += the sum over n steps of scalar r times vector v
template <int R, int V>
FEMBED_INLINE void accumulate(Scalars a, Vectors b, int n, vec (&sums)[R][V]) {
    for (int k = 0; k < n; ++k) {
        vec right[V];
        FEMBED_UNROLL
        for (int v = 0; v < V; ++v) right[v] = load(b.data + v * LANES);
        FEMBED_UNROLL
        for (int r = 0; r < R; ++r) {
            const vec left = splat(a.data[r * a.row]);
            FEMBED_UNROLL
            for (int v = 0; v < V; ++v) sums[r][v] += left * right[v];
        }
        a.data += a.step;
        b.data += b.step;
    }
}

struct Matrix {
    const float* data;
    int n_out, n_in;
    int64_t out_stride, in_stride;
};

// A matrix (n_out x n_in) in the order in which `multiply` reads it: in blocks of ROWS outputs, and
// within a block input by input.
struct PackedMatrix {
    const float* data;
    int n_out, n_in;
};

inline void pack(const Matrix& matrix, float* packed) {
    for (int o = 0; o < matrix.n_out; o += ROWS) {
        const int rows = smaller(ROWS, matrix.n_out - o);
        for (int i = 0; i < matrix.n_in; ++i) {
            for (int r = 0; r < rows; ++r) {
                *packed++ = matrix.data[(o + r) * matrix.out_stride + i * matrix.in_stride];
            }
        }
    }
}

// Multiplies the panel `in` by `weight`. finish(o, low, high) receives the two vectors of output o.
template <class Finish>
FEMBED_INLINE void multiply(PackedMatrix weight, const float* in, const Finish& finish) {
    const int n_in = weight.n_in;
    for (int o = 0; o < weight.n_out; o += ROWS) {
        with_rows<ROWS>(smaller(ROWS, weight.n_out - o), [&](auto count) {
            constexpr int R = decltype(count)::value;
            vec sums[R][2] = {};
            accumulate<R, 2>({weight.data + int64_t(o) * n_in, 1, R}, {in, PANEL}, n_in, sums);
            FEMBED_UNROLL
            for (int r = 0; r < R; ++r) finish(o + r, sums[r][0], sums[r][1]);
        });
    }
}

// Features of several panels: row f of panel k begins at data + k * panel_step + f * PANEL.
struct Features {
    const float* data;
    int64_t panel_step;
    Features from(int row) const { return {data + row * PANEL, panel_step}; }
};

// out[r * out_row + c] += sum over panels and pairs of y[r] * x[c]
template <int R, int C>
FEMBED_NOINLINE void dot_block(Features y, Features x, int n_panels, float* out, int64_t out_row) {
    vec sums[R][C] = {};
    for (int k = 0; k < n_panels; ++k) {
        FEMBED_UNROLL
        for (int half = 0; half < PANEL; half += LANES) {
            vec right[C];
            FEMBED_UNROLL
            for (int c = 0; c < C; ++c) right[c] = load(x.data + c * PANEL + half);
            FEMBED_UNROLL
            for (int r = 0; r < R; ++r) {
                const vec left = load(y.data + r * PANEL + half);
                FEMBED_UNROLL
                for (int c = 0; c < C; ++c) sums[r][c] += left * right[c];
            }
        }
        y.data += y.panel_step;
        x.data += x.panel_step;
    }
    // The sums are copied, so that those above can stay in registers.
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

// out (n_y x n_x) += Y X' over the first n_y and n_x features
inline void add_dots(Features y, int n_y, Features x, int n_x, int n_panels, float* out) {
    for (int r = 0; r < n_y; r += DOT_ROWS) {
        with_rows<DOT_ROWS>(smaller(DOT_ROWS, n_y - r), [&](auto rows) {
            constexpr int R = decltype(rows)::value;
            for (int c = 0; c < n_x; c += DOT_COLS) {
                with_rows<DOT_COLS>(smaller(DOT_COLS, n_x - c), [&](auto cols) {
                    constexpr int C = decltype(cols)::value;
                    dot_block<R, C>(y.from(r), x.from(c), n_panels, out + int64_t(r) * n_x + c,
                                    n_x);
                });
            }
        });
    }
}

// out[f] += sum over panels and pairs of feature f; out has room for a multiple of LANES.
FEMBED_INLINE void add_row_sums(Features y, int n_y, int n_panels, float* out) {
    for (int f = 0; f < n_y; f += LANES) {
        const int rows = smaller(LANES, n_y - f);
        vec sums[LANES] = {};
        for (int k = 0; k < n_panels; ++k) {
            const float* panel = y.data + k * y.panel_step + int64_t(f) * PANEL;
            for (int r = 0; r < rows; ++r) {
                sums[r] += load(panel + r * PANEL) + load(panel + r * PANEL + LANES);
            }
        }
        store(out + f, load(out + f) + sum_rows(sums));
    }
}

// The same for an `out` that has room for n_y sums only.
inline void add_row_sums_exactly(Features y, int n_y, int n_panels, float* out) {
    for (int first = 0; first < n_y; first += LANES) {
        const int width = smaller(LANES, n_y - first);
        float sum[LANES] = {};
        add_row_sums(y.from(first), width, n_panels, sum);
        for (int i = 0; i < width; ++i) out[first + i] += sum[i];
    }
}

}  // namespace fembed::FEMBED_ISA
