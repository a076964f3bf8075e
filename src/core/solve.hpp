// What a frozen model does: decode, and place new samples by Levenberg-Marquardt.
// Included inside a kernel's namespace, after network.hpp.

// The first layer of every gene, once for all samples.
struct FrozenGenes {
    Layout layout;
    Packed packed;
    Arrays arrays;
    int64_t p, n_panels;
    Buffer memory;
    float *parts, *loading, *bias;

    FrozenGenes(const Shape& shape, const Arrays& arrays_, int n_threads)
        : layout(shape), packed(layout, arrays_.network), arrays(arrays_), p(shape.p),
          n_panels((shape.p + PANEL - 1) / PANEL) {
        const int64_t part = int64_t(layout.h1) * PANEL;
        const int64_t skip = arrays.loading ? int64_t(layout.d) * PANEL : 0;
        const int64_t shift = arrays.bias ? PANEL : 0;
        parts = memory.grow(n_panels * (part + skip + shift));
        loading = arrays.loading ? parts + n_panels * part : nullptr;
        bias = arrays.bias ? parts + n_panels * (part + skip) : nullptr;
        packed.pack_all();
#pragma omp parallel for schedule(static) num_threads(n_threads)
        for (int64_t k = 0; k < n_panels; ++k) {
            const int count = genes_in(k);
            const float* rows[PANEL];
            for (int i = 0; i < count; ++i) rows[i] = arrays.v + (k * PANEL + i) * layout.e;
            packed.gene_part(rows, count, parts + k * part);
            gather_terms(arrays, layout.d, nullptr, k * PANEL, count,
                         loading ? loading + k * skip : nullptr, bias ? bias + k * shift : nullptr);
        }
    }
    int genes_in(int64_t panel) const {
        return p - panel * PANEL < PANEL ? int(p - panel * PANEL) : PANEL;
    }
    const float* part(int64_t panel) const { return parts + panel * layout.h1 * PANEL; }
    GeneTerms terms(int64_t panel) const {
        return {loading ? loading + panel * layout.d * PANEL : nullptr,
                bias ? bias + panel * PANEL : nullptr};
    }
};

inline void decode(const Shape& shape, const Arrays& arrays, const float* points, int64_t k,
                   int n_threads, float* out) {
    const FrozenGenes genes(shape, arrays, n_threads);
    const Layout& s = genes.layout;
    Buffer own;
    const int64_t own_floats = s.h1_padded + padded(s.activations() * PANEL) + 64;
    own.grow(own_floats * n_threads);
#pragma omp parallel for schedule(dynamic, 1) num_threads(n_threads)
    for (int64_t i = 0; i < k; ++i) {
        float* const part = own.data + own_floats * thread_number();
        float* const hidden = part + s.h1_padded;
        genes.packed.sample_part(points + i * s.d, part);
        for (int64_t panel = 0; panel < genes.n_panels; ++panel) {
            vec value[2];
            forward_panel(genes.packed, part, points + i * s.d, genes.part(panel),
                          genes.terms(panel), hidden, value);
            float* to = out + i * genes.p + panel * PANEL;
            if (genes.genes_in(panel) == PANEL) {
                store(to, value[0]);
                store(to + LANES, value[1]);
            } else {
                float values[PANEL];
                store(values, value[0]);
                store(values + LANES, value[1]);
                for (int j = 0; j < genes.genes_in(panel); ++j) to[j] = values[j];
            }
        }
    }
}

// Places one profile at a time: nothing that another profile holds can change the result.
class Placer {
   public:
    Placer(const FrozenGenes& genes_, const float* side_back_, float* floats, double* doubles)
        : genes(genes_), s(genes_.layout), side_back(side_back_), part(floats),
          jacobian(part + s.h1_padded), residuals(jacobian + TILE * s.d * PANEL),
          hidden(residuals + TILE * PANEL), tile_sums(hidden + s.activations() * PANEL),
          trial_u(tile_sums + int64_t(s.d) * (s.d + 1) + LANES) {
        const int64_t d = s.d, one = d * d + 2 * d;
        here = {doubles, doubles + d * d, doubles + d * d + d};
        there = {doubles + one, doubles + one + d * d, doubles + one + d * d + d};
        factor = doubles + 2 * one;
        move = factor + d * d;
    }
    static int64_t n_floats(const Layout& s) {
        return padded(s.h1_padded + int64_t(TILE) * (s.d + 1) * PANEL + s.activations() * PANEL +
                      int64_t(s.d) * (s.d + 3) + 2 * LANES) + 64;
    }
    static int64_t n_doubles(const Layout& s) { return 3 * int64_t(s.d) * s.d + 5 * s.d + 8; }

    // Best of the starts; returns its sum of squares and leaves curvature and u in place.
    void place(const float* profile, const float* starts, const SolveOptions& options, float* u,
               double* curvature, double& loss, int64_t& n_observed, int32_t& n_iterations) {
        double best = -1.0;
        n_iterations = 0;
        for (int start = 0; start < options.n_starts; ++start) {
            const int iterations = descend(profile, starts + int64_t(start) * s.d, options);
            n_iterations += iterations;
            if (best < 0.0 || here_squares < best) {
                best = here_squares;
                for (int c = 0; c < s.d; ++c) u[c] = float(here.u[c]);
                for (int64_t c = 0; c < int64_t(s.d) * s.d; ++c) curvature[c] = here.curvature[c];
            }
        }
        n_observed = observed;
        loss = observed ? best / double(observed) : 0.0;
    }

   private:
    static constexpr int TILE = 8;
    struct Point {
        double *curvature, *gradient, *u;
    };
    const FrozenGenes& genes;
    const Layout& s;
    const float* side_back;
    float *part, *jacobian, *residuals, *hidden, *tile_sums, *trial_u;
    Point here, there;
    double *factor, *move;
    double here_squares = 0.0;
    int64_t observed = 0;

    // The sum of squares at u (float32 values) and, if wanted, J'J and J'r, r = profile -
    // prediction.
    double evaluate(const float* profile, const Point& point, bool derivatives = true) {
        const int d = s.d;
        for (int c = 0; c < d; ++c) trial_u[c] = float(point.u[c]);
        for (int c = 0; c < d; ++c) point.gradient[c] = 0.0;
        for (int64_t c = 0; c < int64_t(d) * d; ++c) point.curvature[c] = 0.0;
        genes.packed.sample_part(trial_u, part);
        double squares = 0.0;
        observed = 0;
        for (int64_t panel = 0; panel < genes.n_panels; panel += TILE) {
            const int count = int(genes.n_panels - panel < TILE ? genes.n_panels - panel : TILE);
            vec sum = {}, seen = {};
            for (int k = 0; k < count; ++k) {
                tangent_panel(profile, panel + k, k, derivatives, sum, seen);
            }
            squares += double(sum_lanes(sum));
            observed += int64_t(sum_lanes(seen));
            if (!derivatives) continue;
            float* const products = tile_sums;
            for (int c = 0; c < d * (d + 1); ++c) products[c] = 0.0f;
            add_dots(jacobian, d, int64_t(d) * PANEL, jacobian, d, int64_t(d) * PANEL, count,
                     products);
            add_dots(residuals, 1, PANEL, jacobian, d, int64_t(d) * PANEL, count,
                     products + d * d);
            for (int c = 0; c < d * d; ++c) point.curvature[c] += double(products[c]);
            for (int c = 0; c < d; ++c) point.gradient[c] += double(products[d * d + c]);
        }
        return squares;
    }

    // The prediction is one number a gene, so one backward pass gives its whole gradient in u.
    FEMBED_INLINE void tangent_panel(const float* profile, int64_t panel, int k, bool derivatives,
                                     vec& squares, vec& seen) {
        const GeneTerms terms = genes.terms(panel);
        const int count = genes.genes_in(panel), d = s.d;
        float target[PANEL];
        for (int i = 0; i < count; ++i) target[i] = profile[panel * PANEL + i];
        for (int i = count; i < PANEL; ++i) target[i] = __builtin_nanf("");
        vec value[2], seed[2];
        forward_panel(genes.packed, part, trial_u, genes.part(panel), terms, hidden, value);
        for (int v = 0; v < 2; ++v) {
            const vec x = load(target + v * LANES);
            const vec residual = zero_if_nan(x, x - value[v]);
            seed[v] = zero_if_nan(x, splat(1.0f));
            squares += residual * residual;
            seen += seed[v];
            store(residuals + k * PANEL + v * LANES, residual);
        }
        if (!derivatives) return;
        backward_output(genes.packed, seed, hidden);
        for (int l = s.n_hidden - 1; l > 0; --l) backward_layer(genes.packed, l, hidden);
        float* const rows = jacobian + int64_t(k) * d * PANEL;
        multiply(side_back, d, s.h1, hidden, [&](int c, vec low, vec high) {
            if (terms.loading) {
                low += load(terms.loading + c * PANEL) * seed[0];
                high += load(terms.loading + c * PANEL + LANES) * seed[1];
            }
            store(rows + c * PANEL, low);
            store(rows + c * PANEL + LANES, high);
        });
    }

    int descend(const float* profile, const float* start, const SolveOptions& options) {
        const int d = s.d;
        for (int c = 0; c < d; ++c) here.u[c] = double(start[c]);
        here_squares = evaluate(profile, here, options.max_iterations > 0 || options.curvature);
        double damping = 1e-3;
        int iteration = 0;
        while (iteration < options.max_iterations) {
            ++iteration;
            if (!propose(damping)) {
                damping = damping * 10.0;
                if (damping > 1e8) break;
                continue;
            }
            for (int c = 0; c < d; ++c) there.u[c] = double(float(here.u[c] + move[c]));
            // Derivatives at the last point serve only the curvature.
            const bool last = iteration == options.max_iterations && !options.curvature;
            const double squares = evaluate(profile, there, !last);
            if (squares < here_squares && last) {
                for (int c = 0; c < d; ++c) here.u[c] = there.u[c];
                here_squares = squares;
            } else if (squares < here_squares) {
                const double decrease = (here_squares - squares) / here_squares;
                const Point old = here;
                here = there;
                there = old;
                here_squares = squares;
                damping = damping > 1e-9 ? damping * 0.1 : damping;
                if (decrease < options.tolerance) break;
            } else {
                damping *= 10.0;
                if (damping > 1e8 || expected_decrease() < options.tolerance * here_squares) break;
            }
        }
        return iteration;
    }

    // What the quadratic model promises for `move`.
    double expected_decrease() const {
        double sum = 0.0;
        for (int c = 0; c < s.d; ++c) sum += move[c] * here.gradient[c];
        return sum;
    }

    // Solves (J'J + damping diag(J'J)) move = J'r by Cholesky; false where it is not positive.
    bool propose(double damping) {
        const int d = s.d;
        double trace = 0.0;
        for (int c = 0; c < d; ++c) trace += here.curvature[c * d + c];
        if (!(trace > 0.0)) return false;
        for (int r = 0; r < d; ++r) {
            for (int c = 0; c <= r; ++c) {
                double value = here.curvature[r * d + c];
                if (r == c) value += damping * value + 1e-12 * trace;
                for (int k = 0; k < c; ++k) value -= factor[r * d + k] * factor[c * d + k];
                if (r == c) {
                    if (!(value > 0.0)) return false;
                    factor[r * d + r] = __builtin_sqrt(value);
                } else {
                    factor[r * d + c] = value / factor[c * d + c];
                }
            }
        }
        for (int r = 0; r < d; ++r) {
            double value = here.gradient[r];
            for (int k = 0; k < r; ++k) value -= factor[r * d + k] * move[k];
            move[r] = value / factor[r * d + r];
        }
        for (int r = d - 1; r >= 0; --r) {
            double value = move[r];
            for (int k = r + 1; k < d; ++k) value -= factor[k * d + r] * move[k];
            move[r] = value / factor[r * d + r];
        }
        return true;
    }
};

inline void solve(const Shape& shape, const Arrays& arrays, const float* profiles,
                  const float* starts, int64_t k, const SolveOptions& options, int n_threads,
                  const Solution& out) {
    const FrozenGenes genes(shape, arrays, n_threads);
    const Layout& s = genes.layout;
    const int64_t d = s.d;
    Buffer side_back, own;
    side_back.grow(d * s.h1);
    pack(arrays.network, s.d, s.h1, 1, s.d + s.e, side_back.data);
    const int64_t floats = Placer::n_floats(s), doubles = Placer::n_doubles(s);
    const int64_t own_floats = (floats + 2 * doubles + 15) / 16 * 16 + 64;  // doubles stay aligned
    own.grow(own_floats * n_threads);
#pragma omp parallel for schedule(dynamic, 1) num_threads(n_threads)
    for (int64_t i = 0; i < k; ++i) {
        float* const memory = own.data + own_floats * thread_number();
        Placer placer(genes, side_back.data, memory + 2 * doubles,
                      reinterpret_cast<double*>(memory));
        placer.place(profiles + i * genes.p, starts + i * options.n_starts * d, options,
                     out.u + i * d, out.curvature + i * d * d, out.loss[i], out.n_observed[i],
                     out.n_iterations[i]);
    }
}

// Candidates are read once for four profiles; the order of the sums does not depend on how
// profiles are grouped.
inline void squared_distances(const float* profiles, int64_t k, const float* candidates,
                              int64_t n_candidates, int64_t p, int n_threads, float* out) {
    constexpr int GROUP = 4;
    const int64_t width = padded(p);
    Buffer own;
    own.grow((2 * GROUP * width + 64) * n_threads);
#pragma omp parallel for schedule(dynamic, 1) num_threads(n_threads)
    for (int64_t first = 0; first < k; first += GROUP) {
        const int count = k - first < GROUP ? int(k - first) : GROUP;
        float* const values = own.data + (2 * GROUP * width + 64) * thread_number();
        float* const weights = values + GROUP * width;
        for (int64_t i = 0; i < 2 * GROUP * width; ++i) values[i] = 0.0f;
        for (int i = 0; i < count; ++i) {
            for (int64_t j = 0; j < p; ++j) {
                const float x = profiles[(first + i) * p + j];
                values[i * width + j] = x == x ? x : 0.0f;
                weights[i * width + j] = x == x ? 1.0f : 0.0f;
            }
        }
        for (int64_t c = 0; c < n_candidates; ++c) {
            const float* candidate = candidates + c * p;
            vec sums[GROUP] = {};
            int64_t j = 0;
            for (; j + LANES <= p; j += LANES) {
                const vec right = load(candidate + j);
                FEMBED_UNROLL
                for (int i = 0; i < GROUP; ++i) {
                    const vec gap = load(values + i * width + j) -
                                    load(weights + i * width + j) * right;
                    sums[i] += gap * gap;
                }
            }
            for (int i = 0; i < count; ++i) {
                float sum = sum_lanes(sums[i]);
                for (int64_t t = j; t < p; ++t) {
                    const float gap = values[i * width + t] - weights[i * width + t] * candidate[t];
                    sum += gap * gap;
                }
                out[(first + i) * n_candidates + c] = sum;
            }
        }
    }
}
