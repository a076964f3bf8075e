// fembed._core: checks arguments, chooses the kernel, releases the GIL.
#include "arguments.hpp"

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cstdint>
#include <string>
#include <vector>

#include "dispatch.hpp"
#include "interface.hpp"

namespace nb = nanobind;

namespace fembed {

static const Kernel& checked_kernel(const std::string& isa) {
    const Kernel* const kernel = kernel_named(isa);
    require(kernel, ("this processor has no kernel '" + isa + "'").c_str());
    return *kernel;
}

static void train(nb::handle parameters, nb::handle state, nb::handle options, nb::handle steps,
                  int n_threads, const std::string& isa) {
    const ModelArgument model(parameters);
    const AdamStateArgument moments(state, model);
    const StepsArgument todo(steps, model.shape());
    const AdamOptionsArgument adam(options, todo.blocks.count());
    require(n_threads >= 1, "n_threads is at least 1");
    const Kernel& kernel = checked_kernel(isa);
    nb::gil_scoped_release unlocked;
    kernel.train(model, adam.with(moments), todo.view(), n_threads);
}

static void gradients(nb::handle parameters, nb::handle steps, nb::handle out, int n_threads,
                      const std::string& isa) {
    const ModelArgument model(parameters), to(out);
    const StepsArgument todo(steps, model.shape());
    require(todo.blocks.count() == 1 && n_threads >= 1, "gradients are those of one block");
    require(model.has_twin(to, int64_t(todo.blocks.samples.shape(0)),
                           int64_t(todo.blocks.genes.shape(0))),
            "gradients have the block's shape");
    const Kernel& kernel = checked_kernel(isa);
    nb::gil_scoped_release unlocked;
    kernel.gradients(model, todo.view(), to.arrays(), n_threads);
}

static void decode(nb::handle parameters, In<float, 2> points, Out<float, 2> out, int n_threads,
                   const std::string& isa) {
    const ModelArgument model(parameters);
    require(int(points.shape(1)) == model.shape().d && out.shape(0) == points.shape(0) &&
                int64_t(out.shape(1)) == model.shape().p && n_threads >= 1,
            "points are k x n_components, out is k x n_genes");
    const Kernel& kernel = checked_kernel(isa);
    nb::gil_scoped_release unlocked;
    kernel.decode(model, {points.data(), int64_t(points.shape(0)), out.data()}, n_threads);
}

static void solve(nb::handle parameters, In<float, 2> profiles, In<float, 3> starts,
                  nb::handle likelihood, nb::handle options, nb::handle solution, int n_threads,
                  const std::string& isa) {
    const ModelArgument model(parameters);
    const size_t k = profiles.shape(0), d = size_t(model.shape().d);
    const LikelihoodArgument judged(likelihood, model.shape(), int64_t(k));
    require(int64_t(profiles.shape(1)) == model.shape().p && starts.shape(0) == k &&
                starts.shape(1) >= 1 && starts.shape(2) == d && n_threads >= 1,
            "profiles are k x n_genes, starts are k x n_starts x n_components");
    const SolutionArgument out(solution, k, d);
    const SolveOptions how = {value_of<int>(options, "max_iterations"),
                              value_of<double>(options, "tolerance"),
                              value_of<bool>(options, "curvature")};
    const Kernel& kernel = checked_kernel(isa);
    nb::gil_scoped_release unlocked;
    kernel.solve(model, {profiles.data(), int64_t(k), starts.data(), int(starts.shape(1))},
                 judged.view(), how, out.view(), n_threads);
}

static void squared_distances(In<float, 2> profiles, In<float, 2> candidates, Out<float, 2> out,
                              int n_threads, const std::string& isa) {
    require(profiles.shape(1) == candidates.shape(1) && out.shape(0) == profiles.shape(0) &&
                out.shape(1) == candidates.shape(0) && n_threads >= 1,
            "profiles are k x p, candidates c x p, out k x c");
    const int64_t k = int64_t(profiles.shape(0)), p = int64_t(profiles.shape(1));
    const int64_t n_candidates = int64_t(candidates.shape(0));
    const Distances job = {profiles.data(), k, candidates.data(), n_candidates, p, out.data()};
    const Kernel& kernel = checked_kernel(isa);
    nb::gil_scoped_release unlocked;
    kernel.squared_distances(job, n_threads);
}

static void count_terms(In<float, 1> counts, In<float, 1> log_mean, In<float, 1> dispersion,
                        Out<float, 1> half_deviance, Out<float, 1> slope, Out<float, 1> weight,
                        const std::string& isa) {
    const size_t n = counts.shape(0);
    require(log_mean.shape(0) == n && dispersion.shape(0) == n && half_deviance.shape(0) == n &&
                slope.shape(0) == n && weight.shape(0) == n,
            "every count has a mean, a dispersion and three terms");
    checked_kernel(isa).count_terms({counts.data(), log_mean.data(), dispersion.data(), int64_t(n),
                                     half_deviance.data(), slope.data(), weight.data()});
}

static std::vector<std::string> isas() {
    std::vector<std::string> names;
    for (const Kernel* kernel : supported_kernels()) names.emplace_back(kernel->name);
    return names;
}

}  // namespace fembed

NB_MODULE(_core, module) {
    using namespace nb::literals;
    module.doc() = "The native engine: blocks of samples x genes, forward, gradients, Adam, solve.";
    module.def("isas", &fembed::isas,
               "Names of the kernels that this processor can run, best first.");
    // A wrong type is an error. nanobind must never convert an array: results written into the
    // converted copy would be lost.
    const auto exact = [](const char* name) { return nb::arg(name).noconvert(); };
    module.def("train", &fembed::train, "parameters"_a, "state"_a, "options"_a, "steps"_a,
               "n_threads"_a, "isa"_a);
    module.def("gradients", &fembed::gradients, "parameters"_a, "steps"_a, "out"_a, "n_threads"_a,
               "isa"_a);
    module.def("decode", &fembed::decode, "parameters"_a, exact("points"), exact("out"),
               "n_threads"_a, "isa"_a);
    module.def("solve", &fembed::solve, "parameters"_a, exact("profiles"), exact("starts"),
               "likelihood"_a, "options"_a, "solution"_a, "n_threads"_a, "isa"_a);
    module.def("squared_distances", &fembed::squared_distances, exact("profiles"),
               exact("candidates"), exact("out"), "n_threads"_a, "isa"_a);
    module.def("count_terms", &fembed::count_terms, exact("counts"), exact("log_mean"),
               exact("dispersion"), exact("half_deviance"), exact("slope"), exact("weight"),
               "isa"_a);
}
