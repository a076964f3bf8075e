// Solves A x = b for a positive definite A.
#pragma once

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

inline void substitute(const double* factor, const double* b, int d, double* x) {
    for (int r = 0; r < d; ++r) {
        double value = b[r];
        for (int k = 0; k < r; ++k) value -= factor[r * d + k] * x[k];
        x[r] = value / factor[r * d + r];
    }
    for (int r = d - 1; r >= 0; --r) {
        double value = x[r];
        for (int k = r + 1; k < d; ++k) value -= factor[k * d + r] * x[k];
        x[r] = value / factor[r * d + r];
    }
}

}  // namespace fembed::FEMBED_ISA
