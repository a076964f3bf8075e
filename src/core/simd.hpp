// One vector type for every instruction set: the compiler's vector extensions, or plain floats.
//
// This header and all that include it declare everything inside the namespace of their instruction
// set (FEMBED_ISA is its name, FEMBED_LANES the number of float32 values in its vectors; CMake
// defines both). Otherwise the linker could use an inline function that was compiled for a newer
// processor in the code for an older one. For the same reason, none of these headers uses templates
// of the standard library.
#pragma once

namespace fembed::FEMBED_ISA {

#if FEMBED_LANES == 1
typedef float vec;
typedef float loose_vec;
#else
typedef float vec __attribute__((vector_size(4 * FEMBED_LANES)));
typedef float loose_vec __attribute__((vector_size(4 * FEMBED_LANES), aligned(4), may_alias));
#endif

constexpr int LANES = FEMBED_LANES;
constexpr int PANEL = 2 * LANES;  // pairs that are processed together: two vectors

#define FEMBED_INLINE inline __attribute__((always_inline))
#define FEMBED_NOINLINE __attribute__((noinline))
#define FEMBED_PRAGMA(text) _Pragma(#text)
#if defined(__clang__)
#define FEMBED_UNROLL FEMBED_PRAGMA(unroll)
#else
#define FEMBED_UNROLL FEMBED_PRAGMA(GCC unroll 32)
#endif

FEMBED_INLINE vec load(const float* from) { return *reinterpret_cast<const loose_vec*>(from); }
FEMBED_INLINE void store(float* to, vec value) { *reinterpret_cast<loose_vec*>(to) = value; }
FEMBED_INLINE vec splat(float value) { return value - vec{}; }

#if FEMBED_LANES == 1
FEMBED_INLINE vec relu(vec value) { return value > 0.0f ? value : 0.0f; }
FEMBED_INLINE vec where_positive(vec test, vec value) { return test > 0.0f ? value : 0.0f; }
FEMBED_INLINE vec zero_if_nan(vec test, vec value) { return test == test ? value : 0.0f; }
FEMBED_INLINE float lane(vec value, int) { return value; }
// sums[i] = the sum of the lanes of rows[i], for LANES rows
FEMBED_INLINE vec sum_rows(const vec* rows) { return rows[0]; }
#else
FEMBED_INLINE vec relu(vec value) { return value > 0.0f ? value : vec{}; }
FEMBED_INLINE vec where_positive(vec test, vec value) { return test > 0.0f ? value : vec{}; }
FEMBED_INLINE vec zero_if_nan(vec test, vec value) { return test == test ? value : vec{}; }
FEMBED_INLINE float lane(vec value, int index) { return value[index]; }

#if FEMBED_LANES == 4
#define FEMBED_EVEN 0, 2, 4, 6
#define FEMBED_ODD 1, 3, 5, 7
#elif FEMBED_LANES == 8
#define FEMBED_EVEN 0, 2, 4, 6, 8, 10, 12, 14
#define FEMBED_ODD 1, 3, 5, 7, 9, 11, 13, 15
#else
#define FEMBED_EVEN 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
#define FEMBED_ODD 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31
#endif
FEMBED_INLINE vec add_neighbours(vec a, vec b) {
    return __builtin_shufflevector(a, b, FEMBED_EVEN) + __builtin_shufflevector(a, b, FEMBED_ODD);
}
// sums[i] = the sum of the lanes of rows[i], for LANES rows: a transposing reduction
FEMBED_INLINE vec sum_rows(const vec* rows) {
    vec level[LANES];
    FEMBED_UNROLL
    for (int i = 0; i < LANES; ++i) level[i] = rows[i];
    FEMBED_UNROLL
    for (int width = LANES / 2; width >= 1; width /= 2) {
        FEMBED_UNROLL
        for (int i = 0; i < LANES / 2; ++i) {
            if (i < width) level[i] = add_neighbours(level[2 * i], level[2 * i + 1]);
        }
    }
    return level[0];
}
#endif

// a * b + c, rounded only once if the processor can do that.
FEMBED_INLINE float multiply_add(float a, float b, float c) {
#if defined(__FMA__) || defined(__aarch64__)
    return __builtin_fmaf(a, b, c);
#else
    return a * b + c;
#endif
}

FEMBED_INLINE float sum_lanes(vec value) {
    float sum = 0.0f;
    for (int i = 0; i < LANES; ++i) sum += lane(value, i);
    return sum;
}

// Sizes of register blocks: ROWS scalars times two vectors; DOT_ROWS x DOT_COLS dot products.
#if FEMBED_LANES == 16 || defined(__aarch64__)
constexpr int ROWS = 10, DOT_ROWS = 5, DOT_COLS = 5;
#else
constexpr int ROWS = 5, DOT_ROWS = 3, DOT_COLS = 3;
#endif

}  // namespace fembed::FEMBED_ISA
