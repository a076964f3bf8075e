// Adam (Kingma & Ba 2015) for matrices whose rows each count their own updates.
#pragma once
#include <cstdint>

#include "interface.hpp"
#include "simd.hpp"

namespace fembed::FEMBED_ISA {

// Updates rows that share a learning rate. GROUP is the member of Arrays to which the rows belong.
class AdamUpdate {
   public:
    // Sums of gradients times `scale` are the gradient of the mean.
    AdamUpdate(const Arrays& arrays_, const Adam* adam_, float learning_rate_, float scale_)
        : arrays(arrays_), adam(adam_), learning_rate(learning_rate_), scale(scale_) {}

    // Sets the bias corrections for a row's t-th update; most rows of a job have the same t.
    void at(int64_t t) {
        if (t == count) return;
        count = t;
        rate = float(learning_rate / (1.0 - __builtin_pow(double(adam->beta1), double(t))));
        second_scale = float(1.0 / (1.0 - __builtin_pow(double(adam->beta2), double(t))));
    }

    template <float* Arrays::* GROUP>
    void move(int64_t begin, int64_t n, const float* sums) const {
        apply<true, Fused::OLD_MOMENT>(arrays.*GROUP + begin, sums, adam->first.*GROUP + begin,
                                       adam->second.*GROUP + begin, n);
    }
    template <float* Arrays::* GROUP>
    FEMBED_INLINE void move_one(int64_t at, const float* sum) const {
        apply<true, Fused::GRADIENT>(arrays.*GROUP + at, sum, adam->first.*GROUP + at,
                                     adam->second.*GROUP + at, 1);
    }
    // The published recipe's Adam also moves rows that the block did not touch.
    template <float* Arrays::* GROUP>
    void drift(int64_t begin, int64_t n) const {
        apply<false, Fused::OLD_MOMENT>(arrays.*GROUP + begin, nullptr, adam->first.*GROUP + begin,
                                        adam->second.*GROUP + begin, n);
    }

   private:
    // A moment is the sum of two products; this is the one that is not rounded before the addition.
    // If compilers chose it, the choice and so the results would depend on what they inline. The
    // choices here are those that GCC made in earlier versions, which left it to the compiler: it
    // chose one for loops and the other for single parameters.
    enum class Fused { OLD_MOMENT, GRADIENT };
    template <Fused FUSED>
    FEMBED_INLINE static float moment(float beta, float old, float share, float gradient) {
        return FUSED == Fused::OLD_MOMENT ? multiply_add(beta, old, share * gradient)
                                          : multiply_add(share, gradient, beta * old);
    }

    // The pointers are arguments and not members of a struct, because compilers make use of
    // __restrict only for arguments.
    template <bool TOUCHED, Fused FUSED>
    FEMBED_INLINE void apply(float* __restrict x, const float* __restrict sums,
                             float* __restrict first, float* __restrict second, int64_t n) const {
        const float b1 = adam->beta1, b2 = adam->beta2, decay = adam->weight_decay;
        const float c1 = 1.0f - b1, c2 = 1.0f - b2, epsilon = adam->epsilon;
        const float mean = scale, step = rate, corrected = second_scale;
        for (int64_t i = 0; i < n; ++i) {
            float g = decay * x[i];
            if (TOUCHED) g = multiply_add(sums[i], mean, g);
            first[i] = moment<FUSED>(b1, first[i], c1, g);
            second[i] = moment<FUSED>(b2, second[i], c2 * g, g);
            x[i] -= step * first[i] / (__builtin_sqrtf(second[i] * corrected) + epsilon);
        }
    }

    const Arrays& arrays;
    const Adam* adam;
    float learning_rate, scale, rate = 0.0f, second_scale = 0.0f;
    int64_t count = -1;
};

}  // namespace fembed::FEMBED_ISA
