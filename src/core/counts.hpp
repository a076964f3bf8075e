// The likelihood of counts: negative binomial, and Poisson where the dispersion is zero.
//
// With mean mu = exp(eta) and dispersion alpha (variance mu + alpha mu^2), half the unit deviance
// of a count y is
//     y log(y / mu) + (y + 1 / alpha) log((1 + alpha mu) / (1 + alpha y)),
// its derivative in eta is (mu - y) / (1 + alpha mu), and the expected second derivative, the
// Fisher weight, is mu / (1 + alpha mu) (McCullagh & Nelder 1989).
//
// In float32 these terms cancel, so they are arranged anew. With s = log(mu / y) and
// p = alpha y / (1 + alpha y), half the deviance is y (log(1 + p (e^s - 1)) / p - s); exchanging y
// with 1 / alpha, p with 1 - p and s with -s leaves it as it is. Of the two forms, the one with
// p <= 1/2 is exact to float32's rounding of s, for y and alpha of any size.
#pragma once
#include <cstdint>

#include "elementary.hpp"
#include "interface.hpp"
#include "memory.hpp"
#include "network.hpp"
#include "simd.hpp"

namespace fembed::FEMBED_ISA {

// Logarithms of means beyond these limits cannot belong to counts. The deviance goes on as its
// tangent there, so that it has a slope which leads back, and nothing overflows: the largest slope
// is exp(25) = 7e10, whose square a moment of Adam can hold.
constexpr float LOWEST_LOG_MEAN = -30.0f, HIGHEST_LOG_MEAN = 25.0f;

struct CountTerms {
    vec half_deviance;
    vec slope;   // of half the deviance, in the logarithm of the mean
    vec weight;  // Fisher's
};

// `counts` may be NaN; what it gives then has no meaning.
FEMBED_INLINE CountTerms count_terms(vec log_mean, vec counts, vec dispersion) {
    const vec above = log_mean < LOWEST_LOG_MEAN ? splat(LOWEST_LOG_MEAN) : log_mean;
    const vec eta = above > HIGHEST_LOG_MEAN ? splat(HIGHEST_LOG_MEAN) : above;
    const auto positive = counts > 0.0f;
    const vec product = dispersion * counts;
    const vec reciprocal = 1.0f / (1.0f + product);
    const auto few = product <= 1.0f;  // the count is at most 1 / dispersion
    const vec p = few ? product * reciprocal : reciprocal;
    const vec rest = few ? reciprocal : product * reciprocal;  // 1 - p
    const vec size = few ? counts : 1.0f / dispersion;
    const vec log_ratio = eta - logarithm(positive ? counts : splat(1.0f));
    const vec s = few ? log_ratio : -log_ratio;
    const Exponential e = exponential(s);
    // Zero has no logarithm: half its deviance is log(1 + alpha mu) / alpha.
    const vec change = positive ? e.minus_one : e.value;
    const vec x = (positive ? p : dispersion) * change;
    const vec scale = (positive ? size * rest : splat(1.0f)) / (1.0f + x);
    const vec slope = scale * (few ? change : -change);
    const vec log = change * log1p_ratio(x);
    const vec half_deviance = positive ? size * (log - s) : log;
    const vec tangent = slope * (log_mean - eta);
    return {half_deviance + (tangent > 0.0f ? tangent : vec{}), slope,
            scale * (few ? e.value : splat(1.0f))};
}

// What a row gives to its pairs.
struct CountRow {
    float offset = 0.0f, dispersion = 0.0f;

    CountRow() = default;
    CountRow(const Counts& given, int64_t row)
        : offset(given.row_offset ? given.row_offset[row] : 0.0f),
          dispersion(given.row_dispersion ? given.row_dispersion[row] : 0.0f) {}
};

// The offsets and dispersions of columns, by panel; null without counts.
struct CountPanels {
    Panels offset, dispersion;

    CountPanels(Slices& slices, const Counts* given, int64_t n_panels)
        : offset(slices.panels(n_panels, given ? 1 : 0)),
          dispersion(slices.panels(n_panels, given ? 1 : 0)) {}

    void fill(const Counts& given, const PanelGenes& columns, int64_t panel) const {
        for (int i = 0; i < PANEL; ++i) {
            const bool real = i < columns.count;
            offset.at(panel)[i] =
                real && given.column_offset ? given.column_offset[columns[i]] : 0.0f;
            dispersion.at(panel)[i] =
                real && given.column_dispersion ? given.column_dispersion[columns[i]] : 0.0f;
        }
    }
    // Of the v-th vector of a panel, with predictions that are logarithms of means without offset.
    FEMBED_INLINE CountTerms terms(const CountRow& row, int64_t panel, int v, vec prediction,
                                   vec counts) const {
        const int at = v * LANES;
        const vec log_mean = prediction + (splat(row.offset) + load(offset.at(panel) + at));
        return count_terms(log_mean, counts,
                           splat(row.dispersion) + load(dispersion.at(panel) + at));
    }
};

// Element by element.
inline void count_terms(const CountPairs& pairs) {
    for (int64_t begin = 0; begin < pairs.count; begin += LANES) {
        const int lanes = pairs.count - begin < LANES ? int(pairs.count - begin) : LANES;
        float in[3][LANES] = {}, out[3][LANES];
        for (int i = 0; i < lanes; ++i) {
            in[0][i] = pairs.log_mean[begin + i];
            in[1][i] = pairs.counts[begin + i];
            in[2][i] = pairs.dispersion[begin + i];
        }
        const CountTerms terms = count_terms(load(in[0]), load(in[1]), load(in[2]));
        store(out[0], terms.half_deviance);
        store(out[1], terms.slope);
        store(out[2], terms.weight);
        for (int i = 0; i < lanes; ++i) {
            const bool seen = pairs.counts[begin + i] == pairs.counts[begin + i];
            pairs.half_deviance[begin + i] = seen ? out[0][i] : 0.0f;
            pairs.slope[begin + i] = seen ? out[1][i] : 0.0f;
            pairs.weight[begin + i] = seen ? out[2][i] : 0.0f;
        }
    }
}

}  // namespace fembed::FEMBED_ISA
