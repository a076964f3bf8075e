// Places profiles in a frozen model, each alone, by Levenberg-Marquardt.
#pragma once
#include <cstdint>

#include "cholesky.hpp"
#include "frozen.hpp"
#include "interface.hpp"
#include "layout.hpp"
#include "least_squares.hpp"
#include "memory.hpp"
#include "noise.hpp"
#include "products.hpp"
#include "simd.hpp"
#include "team.hpp"

namespace fembed::FEMBED_ISA {

struct PlacerMemory {  // a thread's own
    Expansion here, there;
    double *factor, *move;
    LeastSquaresMemory squares;

    PlacerMemory(Slices& slices, const Layout& s, int64_t n_panels, int n_factors)
        : here(slices, s.d), there(slices, s.d), factor(slices.doubles(int64_t(s.d) * s.d)),
          move(slices.doubles(s.d)), squares(slices, s, n_panels, n_factors) {}
};

// Nothing that another profile holds can change the result.
class Placer {
   public:
    Placer(const FrozenModel& frozen, const float* side_back, const FrozenNoise& noise,
           const Likelihood& likelihood, const PlacerMemory& own)
        : d(frozen.layout.d), problem(frozen, side_back, noise, likelihood, own.squares),
          here(own.here), there(own.there), factor(own.factor), move(own.move) {}

    // Leaves the best of the starts in `out`.
    void place(const Profile& profile, const float* starts, int n_starts,
               const SolveOptions& options, const Solution& out) {
        double best = 0.0;
        *out.n_iterations = 0;
        problem.observe(profile);
        for (int start = 0; start < n_starts; ++start) {
            *out.n_iterations += descend(profile, starts + int64_t(start) * d, options);
            if (start == 0 || here_cost < best) {
                best = here_cost;
                for (int c = 0; c < d; ++c) out.u[c] = float(here.u[c]);
                for (int c = 0; c < d * d; ++c) out.curvature[c] = here.curvature[c];
            }
        }
        *out.n_observed = problem.n_observed();
        *out.cost = best;
    }

   private:
    static constexpr double FIRST_DAMPING = 1e-3, LEAST_DAMPING = 1e-9, MOST_DAMPING = 1e8;
    const int d;
    LeastSquares problem;
    Expansion here, there;
    double *factor, *move;
    double here_cost = 0.0;

    // Returns the number of iterations.
    int descend(const Profile& profile, const float* start, const SolveOptions& options) {
        for (int c = 0; c < d; ++c) here.u[c] = double(start[c]);
        here_cost =
            problem.evaluate(profile, here, options.max_iterations > 0 || options.curvature);
        double damping = FIRST_DAMPING;
        int iteration = 0;
        while (iteration < options.max_iterations) {
            ++iteration;
            if (!propose(damping)) {
                damping = damping * 10.0;
                if (damping > MOST_DAMPING) break;
                continue;
            }
            for (int c = 0; c < d; ++c) there.u[c] = double(float(here.u[c] + move[c]));
            // Derivatives at the last point serve only the curvature.
            const bool last = iteration == options.max_iterations && !options.curvature;
            const double cost = problem.evaluate(profile, there, !last);
            if (cost < here_cost && last) {
                for (int c = 0; c < d; ++c) here.u[c] = there.u[c];
                here_cost = cost;
            } else if (cost < here_cost) {
                const double decrease = (here_cost - cost) / here_cost;
                const Expansion old = here;
                here = there;
                there = old;
                here_cost = cost;
                damping = damping > LEAST_DAMPING ? damping * 0.1 : damping;
                if (decrease < options.tolerance) break;
            } else {
                damping *= 10.0;
                const double least = options.tolerance * here_cost;
                if (damping > MOST_DAMPING || expected_decrease() < least) break;
            }
        }
        return iteration;
    }

    // What the quadratic model promises for `move`.
    double expected_decrease() const {
        double sum = 0.0;
        for (int c = 0; c < d; ++c) sum += move[c] * here.gradient[c];
        return sum;
    }

    // Solves (C + damping diag(C)) move = gradient, C the curvature; false where it is not
    // positive.
    bool propose(double damping) const {
        double trace = 0.0;
        for (int c = 0; c < d; ++c) trace += here.curvature[c * d + c];
        if (!(trace > 0.0)) return false;
        for (int c = 0; c < d * d; ++c) factor[c] = here.curvature[c];
        for (int c = 0; c < d; ++c) {
            double& value = factor[c * d + c];
            value += damping * value + 1e-12 * trace;  // positive where J lacks a direction
        }
        if (!factorize(factor, d)) return false;
        substitute(factor, here.gradient, d, move);
        return true;
    }
};

inline void solve(const Model& model, const Profiles& profiles, const Likelihood& likelihood,
                  const SolveOptions& options, const Solution& out, int n_threads) {
    const FrozenModel frozen(model, n_threads);
    const Layout& s = frozen.layout;
    Buffer side_back;
    side_back.grow(int64_t(s.d) * s.h1);
    pack({model.arrays.network, s.d, s.h1, 1, s.d + s.e}, side_back.data);
    const FrozenNoise noise(likelihood, frozen);
    const int n_factors = noise.n_factors;
    const OwnMemory<PlacerMemory> memory(n_threads, s, frozen.n_panels, n_factors);
#pragma omp parallel num_threads(n_threads)
    {
        Placer placer(frozen, side_back.data, noise, likelihood,
                      memory.of(thread_number(), s, frozen.n_panels, n_factors));
#pragma omp for schedule(dynamic, 1)
        for (int64_t i = 0; i < profiles.k; ++i) {
            const CountRow row = likelihood.counts ? CountRow(*likelihood.counts, i) : CountRow();
            placer.place({profiles.values + i * frozen.p, row},
                         profiles.starts + i * profiles.n_starts * s.d, profiles.n_starts, options,
                         out.from(i, s.d));
        }
    }
}

}  // namespace fembed::FEMBED_ISA
