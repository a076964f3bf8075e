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

// Everything that training changes; also used for both Adam moments.
struct Arrays {
    float* u;        // n x d
    float* v;        // p x e
    float* network;  // W0 (h1 x (d+e)), b0, W1 (h2 x h1), b1, ..., w (hk), b
    float* loading;  // p x d, or null
    float* bias;     // p, or null
};

struct Adam {
    float beta1, beta2, epsilon, weight_decay;
    bool lazy;  // leave the rows that a block does not touch as they are
    Arrays first, second;
    int64_t *u_count, *v_count, *network_count;  // updates so far, by row
};

// A run of steps; step t works on samples[sample_offset[t] .. sample_offset[t+1]) x genes[...).
struct Blocks {
    int64_t n_steps;
    const int32_t *samples, *genes;
    const int64_t *sample_offset, *gene_offset;
    const float* learning_rate;  // n_steps x 3: network, genes, samples
};

// Gradients of one block's mean squared error, in block-local rows. For tests.
struct BlockGradients {
    float *u, *v, *network, *loading, *bias;
};

struct SolveOptions {
    int n_starts, max_iterations;
    double tolerance;  // of the relative decrease of the sum of squares
    bool curvature;    // wanted at the solution; without it the last step is cheaper
};

struct Solution {
    float* u;          // k x d
    double* loss;      // k, mean squared error over the observed genes
    double* curvature; // k x d x d, J'J at the solution
    int64_t* n_observed;
    int32_t* n_iterations;
};

struct Kernel {
    const char* name;
    int lanes;
    // Returns when all steps are done; loss and n_observed have one entry a step.
    void (*train)(const Shape&, const Arrays&, const Adam&, const float* expression,
                  const Blocks&, int n_threads, double* loss, int64_t* n_observed);
    void (*gradients)(const Shape&, const Arrays&, const float* expression, const Blocks&,
                      int n_threads, const BlockGradients&, double* loss, int64_t* n_observed);
    // out is k x p.
    void (*decode)(const Shape&, const Arrays&, const float* points, int64_t k, int n_threads,
                   float* out);
    // profiles is k x p, starts is k x n_starts x d.
    void (*solve)(const Shape&, const Arrays&, const float* profiles, const float* starts,
                  int64_t k, const SolveOptions&, int n_threads, const Solution&);
    // out[i, c] = sum over the observed genes of (profiles[i] - candidates[c])^2
    void (*squared_distances)(const float* profiles, int64_t k, const float* candidates,
                              int64_t n_candidates, int64_t p, int n_threads, float* out);
};

}  // namespace fembed
