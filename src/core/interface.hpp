// What the binding asks of a kernel, independent of the instruction set it was compiled for.
//
// Notation: n samples, p genes, d sample components, e gene components, hidden widths h1..hk.
// Matrices are row-major float32. A missing entry of the expression is NaN.
#pragma once
#include <cstdint>

namespace fembed {

struct Shape {
    int64_t n, p;
    int d, e, n_hidden;
    const int* hidden;
};

// Everything that training changes; Adam's moments and gradients have the same arrays.
struct Arrays {
    float* u;        // n x d
    float* v;        // p x e
    float* network;  // W0 (h1 x (d+e)), b0, W1 (h2 x h1), b1, ..., w (hk), b
    float* loading;  // p x d, or null
    float* bias;     // p, or null
};

struct Model {
    Shape shape;
    Arrays arrays;
};

struct Adam {
    const float* learning_rate;  // steps x 3: network, genes, samples
    float beta1, beta2, epsilon, weight_decay;
    bool lazy;  // leave the rows that a block does not touch as they are
    Arrays first, second;
    int64_t *u_count, *v_count, *network_count;  // updates so far, by row
};

// Block t is samples[sample_offset[t] .. sample_offset[t+1]) x genes[gene_offset[t] .. ).
struct Blocks {
    int64_t count;
    const int32_t *samples, *genes;
    const int64_t *sample_offset, *gene_offset;
};

// That the values of a matrix are counts: row i, column j has the mean exp(offset + prediction) and
// the variance mean + dispersion mean^2, where offset and dispersion are the sums of what row i and
// column j give. What is null is zero.
struct Counts {
    const float *row_offset, *column_offset, *row_dispersion, *column_dispersion;
};

// A run of steps: one a block.
struct Steps {
    const float* expression;  // n x p
    const Counts* counts;     // null: measured values, whose loss is the squared error
    Blocks blocks;
    double* loss;         // by step, before its update
    int64_t* n_observed;  // by step
};

struct Decoding {
    const float* points;  // k x d
    int64_t k;
    float* out;  // k x p
};

struct Profiles {
    const float* values;  // k x p
    int64_t k;
    const float* starts;  // k x n_starts x d
    int n_starts;
};

// What places are judged by: u costs r' S^-1 r + (u - mean)' P (u - mean), with r what it leaves of
// the observed genes and S = F F' + diag(1 / weight) their noise. For counts, it costs the sum of
// weight times unit deviance in place of r' S^-1 r, and there are no factors. What is null plays no
// part.
struct Likelihood {
    const Counts* counts;  // rows are profiles; null: measured values
    const float* weight;   // p; null: all one
    const float* factors;  // F, p x n_factors
    int n_factors;
    const double* mean;       // d
    const double* precision;  // P, d x d
};

struct SolveOptions {
    int max_iterations;
    double tolerance;  // of the relative decrease of the cost
    bool curvature;    // wanted at the solution; without it the last step is cheaper
};

struct Solution {
    float* u;      // k x d
    double* cost;  // k, see Likelihood
    // k x d x d, J' S^-1 J + P at the solution; for counts, S^-1 is their Fisher information
    double* curvature;
    int64_t* n_observed;
    int32_t* n_iterations;

    Solution from(int64_t i, int64_t d) const {
        return {u + i * d, cost + i, curvature + i * d * d, n_observed + i, n_iterations + i};
    }
};

struct Distances {
    const float* profiles;  // k x p
    int64_t k;
    const float* candidates;  // n_candidates x p
    int64_t n_candidates, p;
    float* out;  // [i, c] = sum over the observed genes of (profiles[i] - candidates[c])^2
};

// Counts, the logarithms of their means, and what the likelihood makes of each; counts.hpp has the
// formulas.
struct CountPairs {
    const float *counts, *log_mean, *dispersion;
    int64_t count;
    float *half_deviance, *slope, *weight;
};

struct Kernel {
    const char* name;
    int lanes;
    // Returns when all steps are done.
    void (*train)(const Model&, const Adam&, const Steps&, int n_threads);
    // Fills the gradients of the only block's loss, in block-local rows. For tests.
    void (*gradients)(const Model&, const Steps&, const Arrays& gradients, int n_threads);
    void (*decode)(const Model&, const Decoding&, int n_threads);
    void (*solve)(const Model&, const Profiles&, const Likelihood&, const SolveOptions&,
                  const Solution&, int n_threads);
    void (*squared_distances)(const Distances&, int n_threads);
    void (*count_terms)(const CountPairs&);
};

}  // namespace fembed
