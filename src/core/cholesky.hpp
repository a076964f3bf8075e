// Solves A x = b for a positive definite A.
#pragma once
#include <cstdint>

#include "simd.hpp"

namespace fembed::FEMBED_ISA {

// The lower triangle of A (d x d) becomes that of its factor; false where A is not positive.
inline bool factorize(double* a, int d) {
    for (int r = 0; r < d; ++r) {
        for (int c = 0; c <= r; ++c) {
            double value = a[r * d + c];
            for (int k = 0; k < c; ++k) value -= a[r * d + k] * a[c * d + k];
            if (r != c) {
                a[r * d + c] = value / a[c * d + c];
                continue;
            }
            if (!(value > 0.0)) return false;
            a[r * d + r] = __builtin_sqrt(value);
        }
    }
    return true;
}

// factor x = b for n right sides, in place: b is d x n, and becomes x.
inline void substitute_forward(const double* factor, int d, double* b, int n) {
    for (int r = 0; r < d; ++r) {
        double* const row = b + int64_t(r) * n;
        for (int k = 0; k < r; ++k) {
            const double value = factor[int64_t(r) * d + k];
            const double* const above = b + int64_t(k) * n;
            for (int c = 0; c < n; ++c) row[c] -= value * above[c];
        }
        for (int c = 0; c < n; ++c) row[c] /= factor[int64_t(r) * d + r];
    }
}

// factor factor' x = b
inline void substitute(const double* factor, const double* b, int d, double* x) {
    for (int r = 0; r < d; ++r) x[r] = b[r];
    substitute_forward(factor, d, x, 1);
    for (int r = d - 1; r >= 0; --r) {
        double value = x[r];
        for (int k = r + 1; k < d; ++k) value -= factor[k * d + r] * x[k];
        x[r] = value / factor[r * d + r];
    }
}

}  // namespace fembed::FEMBED_ISA
