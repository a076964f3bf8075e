// Adam (Kingma & Ba 2015) on rows that each have a number of updates of their own.
#pragma once
#include <cstdint>

#include "interface.hpp"
#include "simd.hpp"

namespace fembed::FEMBED_ISA {

// The update of rows that share a learning rate. GROUP is the member of Arrays that they are of.
class AdamUpdate {
   public:
    // scale makes sums of gradients the gradient of the mean.
    AdamUpdate(const Arrays& arrays_, const Adam* adam_, float learning_rate_, float scale_)
        : arrays(arrays_), adam(adam_), learning_rate(learning_rate_), scale(scale_) {}

    // The bias corrections of a row's t-th update; most rows of a job have the same t.
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
    // Which product of a moment's two is not rounded before they are added. Left to compilers,
    // this depends on what they inline, and so would the results; the choice is that of the
    // versions that left it to GCC, whose loops and single parameters differ.
    enum class Fused { OLD_MOMENT, GRADIENT };
    template <Fused FUSED>
    FEMBED_INLINE static float moment(float beta, float old, float share, float gradient) {
        return FUSED == Fused::OLD_MOMENT ? multiply_add(beta, old, share * gradient)
                                          : multiply_add(share, gradient, beta * old);
    }

    // Arguments and not a struct: compilers take __restrict seriously for them only.
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
