// Exponentials and logarithms of vectors. Each reduces its argument to a short interval and sums a
// power series there; results are within a few units of float32's rounding.
#pragma once
#include <cstdint>

#include "simd.hpp"

namespace fembed::FEMBED_ISA {

#if FEMBED_LANES == 1
typedef uint32_t words;
FEMBED_INLINE vec float_of(words small) { return float(int32_t(small)); }
#else
typedef uint32_t words __attribute__((vector_size(4 * FEMBED_LANES)));
typedef int32_t whole_numbers __attribute__((vector_size(4 * FEMBED_LANES)));
FEMBED_INLINE vec float_of(words small) {  // below 2^31: processors convert signed numbers
    return __builtin_convertvector(whole_numbers(small), vec);
}
#endif
FEMBED_INLINE words bits_of(vec value) { return __builtin_bit_cast(words, value); }
FEMBED_INLINE vec of_bits(words bits) { return __builtin_bit_cast(vec, bits); }

// ln 2 in two parts; multiples of the first, up to 2^9, are exact.
constexpr float LN2_HIGH = 0.693359375f, LN2_LOW = -2.12194440e-4f;

FEMBED_INLINE vec square_root(vec value) {
    float lanes[LANES];
    store(lanes, value);
    for (int i = 0; i < LANES; ++i) lanes[i] = __builtin_sqrtf(lanes[i]);
    return load(lanes);
}

struct Exponential {
    vec value, minus_one;  // e^x, and e^x - 1 without cancellation
};

// For |x| <= 87; NaN stays NaN.
FEMBED_INLINE Exponential exponential(vec x) {
    // x = n ln 2 + r with |r| < 0.35. A number of the size of MAGIC has no fraction, so adding
    // MAGIC rounds to the nearest whole number, and leaves it in the lowest bits.
    constexpr float MAGIC = 12582912.0f;
    constexpr uint32_t MAGIC_BITS = 0x4b400000u, EXPONENT_OF_ONE = 127u;
    const vec shifted = x * 1.44269504f + MAGIC;
    const vec n = shifted - MAGIC;
    const vec r = (x - n * LN2_HIGH) - n * LN2_LOW;
    // Taylor: the first term left out is 1e-8 of the sum.
    vec sum = r * (1.0f / 40320.0f) + 1.0f / 5040.0f;
    sum = sum * r + 1.0f / 720.0f;
    sum = sum * r + 1.0f / 120.0f;
    sum = sum * r + 1.0f / 24.0f;
    sum = sum * r + 1.0f / 6.0f;
    sum = sum * r + 0.5f;
    const vec rest = r * r * sum + r;                                                    // e^r - 1
    const vec power = of_bits((bits_of(shifted) - MAGIC_BITS + EXPONENT_OF_ONE) << 23);  // 2^n
    return {power * rest + power, power * rest + (power - 1.0f)};
}

// u = 2^exponent (1 + fraction), with 1 + fraction between the roots of 1/2 and of 2.
struct LogReduction {
    vec exponent, fraction;

    explicit FEMBED_INLINE LogReduction(vec u) {  // u positive and normal
        constexpr uint32_t ROOT_OF_HALF = 0x3f3504f3u, ONE = 0x3f800000u;
        const words biased = (bits_of(u) + (ONE - ROOT_OF_HALF)) >> 23;
        exponent = float_of(biased) - 127.0f;
        fraction = of_bits(bits_of(u) - (biased << 23) + ONE) - 1.0f;
    }
};

// log(1 + f) / f = 2 atanh(f / (2 + f)) / f by its power series, for f as in LogReduction.
FEMBED_INLINE vec log_ratio_near_one(vec f) {
    const vec reciprocal = 1.0f / (2.0f + f);
    const vec z = f * reciprocal, square = z * z;
    vec sum = square * (1.0f / 9.0f) + 1.0f / 7.0f;
    sum = sum * square + 1.0f / 5.0f;
    sum = sum * square + 1.0f / 3.0f;
    return 2.0f * reciprocal * (sum * square + 1.0f);
}

FEMBED_INLINE vec logarithm(vec u) {
    const LogReduction parts(u);
    const vec k = parts.exponent, f = parts.fraction;
    return k * LN2_HIGH + (f * log_ratio_near_one(f) + k * LN2_LOW);
}

// log(1 + x) / x, which is 1 at x = 0; for x >= -1/2.
FEMBED_INLINE vec log1p_ratio(vec x) {
    const LogReduction parts(1.0f + x);
    const vec k = parts.exponent;
    const auto near_one = k == 0.0f;
    const vec f = near_one ? x : parts.fraction;  // x itself has not been rounded by adding one
    const vec ratio = log_ratio_near_one(f);
    const vec log = k * LN2_HIGH + (f * ratio + k * LN2_LOW);
    return near_one ? ratio : log / x;
}

}  // namespace fembed::FEMBED_ISA
