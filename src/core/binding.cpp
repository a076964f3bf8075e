// fembed._core: checks shapes, chooses the kernel, releases the GIL.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cstdlib>
#include <new>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "interface.hpp"

namespace nb = nanobind;

namespace fembed {

void* allocate_aligned(size_t bytes) {
    return ::operator new(bytes + 64, std::align_val_t(64));
}
void free_aligned(void* memory) {
    if (memory) ::operator delete(memory, std::align_val_t(64));
}

void yield_processor() { std::this_thread::yield(); }

extern const Kernel kernel_scalar;
#ifdef FEMBED_HAS_NEON
extern const Kernel kernel_neon;
#endif
#ifdef FEMBED_HAS_X86
extern const Kernel kernel_sse2;
extern const Kernel kernel_avx2;
extern const Kernel kernel_avx512;
#endif

// Best first.
static std::vector<const Kernel*> supported_kernels() {
    std::vector<const Kernel*> found;
#ifdef FEMBED_HAS_X86
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw")) {
        found.push_back(&kernel_avx512);
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        found.push_back(&kernel_avx2);
    }
    if (__builtin_cpu_supports("sse2")) found.push_back(&kernel_sse2);
#endif
#ifdef FEMBED_HAS_NEON
    found.push_back(&kernel_neon);
#endif
    found.push_back(&kernel_scalar);
    return found;
}

static const Kernel& kernel_named(const std::string& isa) {
    for (const Kernel* kernel : supported_kernels()) {
        if (isa.empty() || isa == kernel->name) return *kernel;
    }
    throw nb::value_error(("this processor has no kernel '" + isa + "'").c_str());
}

template <class T, int N>
using In = nb::ndarray<const T, nb::ndim<N>, nb::c_contig, nb::device::cpu>;
template <class T, int N>
using Out = nb::ndarray<T, nb::ndim<N>, nb::c_contig, nb::device::cpu>;
using Floats = std::vector<std::optional<nb::ndarray<float, nb::c_contig, nb::device::cpu>>>;

static void require(bool ok, const char* message) {
    if (!ok) throw nb::value_error(message);
}

// arrays: sample_embedding, gene_embedding, network, gene_loading or None, gene_bias or None
struct Checked {
    std::vector<int> hidden;
    Shape shape;
    Arrays arrays;

    Checked(const Floats& given, const std::vector<int>& hidden_) : hidden(hidden_) {
        require(given.size() == 5 && given[0] && given[1] && given[2], "five arrays expected");
        require(given[0]->ndim() == 2 && given[1]->ndim() == 2 && given[2]->ndim() == 1,
                "embeddings are matrices and the network is a vector");
        require(!hidden.empty() && hidden.size() <= 32, "1 to 32 hidden layers");
        shape = {int64_t(given[0]->shape(0)), int64_t(given[1]->shape(0)),
                 int(given[0]->shape(1)),     int(given[1]->shape(1)),
                 int(hidden.size()),          hidden.data()};
        require(shape.d > 0 && shape.e > 0, "embeddings need at least one component");
        int64_t size = 0, n_in = shape.d + shape.e;
        for (int width : hidden) {
            require(width > 0, "hidden widths are positive");
            size += (n_in + 1) * width;
            n_in = width;
        }
        require(int64_t(given[2]->shape(0)) == size + n_in + 1, "the network has another size");
        arrays = {given[0]->data(), given[1]->data(), given[2]->data(), nullptr, nullptr};
        if (given[3]) {
            require(given[3]->ndim() == 2 && int64_t(given[3]->shape(0)) == shape.p &&
                        int(given[3]->shape(1)) == shape.d,
                    "gene_loading is n_genes x n_components");
            arrays.loading = given[3]->data();
        }
        if (given[4]) {
            require(given[4]->ndim() == 1 && int64_t(given[4]->shape(0)) == shape.p,
                    "gene_bias has one value a gene");
            arrays.bias = given[4]->data();
        }
    }
    Checked(const Checked&) = delete;

    bool same_shape(const Checked& other) const {
        return shape.n == other.shape.n && shape.p == other.shape.p && shape.d == other.shape.d &&
               shape.e == other.shape.e && !arrays.loading == !other.arrays.loading &&
               !arrays.bias == !other.arrays.bias;
    }
};

// A repeat within a block would let two threads update one row at once.
static void check_index(const int32_t* index, const int64_t* offset, int64_t n_blocks,
                        int64_t limit) {
    std::vector<int64_t> last_block(size_t(limit), -1);
    for (int64_t t = 0; t < n_blocks; ++t) {
        for (int64_t i = offset[t]; i < offset[t + 1]; ++i) {
            require(index[i] >= 0 && index[i] < limit, "an index is out of range");
            require(last_block[size_t(index[i])] != t, "an index is twice in a block");
            last_block[size_t(index[i])] = t;
        }
    }
}

static void check_offsets(const In<int64_t, 1>& offsets, int64_t total) {
    require(offsets.shape(0) >= 2 && offsets(0) == 0, "bad offsets");
    for (size_t t = 0; t + 1 < offsets.shape(0); ++t) {
        require(offsets(t + 1) > offsets(t), "a block is empty");
    }
    require(offsets(offsets.shape(0) - 1) == total, "bad offsets");
}

static Blocks checked_blocks(const In<int32_t, 1>& samples, const In<int64_t, 1>& sample_offset,
                             const In<int32_t, 1>& genes, const In<int64_t, 1>& gene_offset,
                             const Shape& shape) {
    require(sample_offset.shape(0) == gene_offset.shape(0), "bad offsets");
    check_offsets(sample_offset, int64_t(samples.shape(0)));
    check_offsets(gene_offset, int64_t(genes.shape(0)));
    const int64_t n_blocks = int64_t(sample_offset.shape(0)) - 1;
    check_index(samples.data(), sample_offset.data(), n_blocks, shape.n);
    check_index(genes.data(), gene_offset.data(), n_blocks, shape.p);
    return {n_blocks, samples.data(), genes.data(),
            sample_offset.data(), gene_offset.data(), nullptr};
}

static void train(const Floats& given, const std::vector<int>& hidden, const Floats& first,
                  const Floats& second, Out<int64_t, 1> sample_count, Out<int64_t, 1> gene_count,
                  Out<int64_t, 1> network_count, In<float, 2> expression, In<int32_t, 1> samples,
                  In<int64_t, 1> sample_offset, In<int32_t, 1> genes, In<int64_t, 1> gene_offset,
                  In<float, 2> learning_rate, float weight_decay, float beta1, float beta2,
                  float epsilon, bool lazy, int n_threads, const std::string& isa,
                  Out<double, 1> loss, Out<int64_t, 1> n_observed) {
    const Checked model(given, hidden), m1(first, hidden), m2(second, hidden);
    require(model.same_shape(m1) && model.same_shape(m2), "moments have another shape");
    const Shape& shape = model.shape;
    require(int64_t(expression.shape(0)) == shape.n && int64_t(expression.shape(1)) == shape.p,
            "expression is n_samples x n_genes");
    require(int64_t(sample_count.shape(0)) == shape.n && int64_t(gene_count.shape(0)) == shape.p &&
                network_count.shape(0) == 1,
            "counts have another shape");
    Blocks blocks = checked_blocks(samples, sample_offset, genes, gene_offset, shape);
    require(int64_t(learning_rate.shape(0)) == blocks.n_steps && learning_rate.shape(1) == 3 &&
                int64_t(loss.shape(0)) == blocks.n_steps &&
                int64_t(n_observed.shape(0)) == blocks.n_steps,
            "one row of learning rates, one loss and one count a step");
    blocks.learning_rate = learning_rate.data();
    require(n_threads >= 1, "n_threads is at least 1");
    const Adam adam = {beta1,     beta2,     epsilon, weight_decay,        lazy,
                       m1.arrays, m2.arrays, sample_count.data(), gene_count.data(),
                       network_count.data()};
    const Kernel& kernel = kernel_named(isa);
    nb::gil_scoped_release unlocked;
    kernel.train(shape, model.arrays, adam, expression.data(), blocks, n_threads, loss.data(),
                 n_observed.data());
}

static nb::tuple gradients(const Floats& given, const std::vector<int>& hidden,
                           In<float, 2> expression, In<int32_t, 1> samples, In<int32_t, 1> genes,
                           const Floats& out, int n_threads, const std::string& isa) {
    const Checked model(given, hidden), to(out, hidden);
    const Shape& shape = model.shape;
    require(int64_t(expression.shape(0)) == shape.n && int64_t(expression.shape(1)) == shape.p,
            "expression is n_samples x n_genes");
    require(to.shape.n == int64_t(samples.shape(0)) && to.shape.p == int64_t(genes.shape(0)) &&
                to.shape.d == shape.d && to.shape.e == shape.e &&
                !to.arrays.loading == !model.arrays.loading &&
                !to.arrays.bias == !model.arrays.bias,
            "gradients have the block's shape");
    require(samples.shape(0) > 0 && genes.shape(0) > 0 && n_threads >= 1, "an empty block");
    const int64_t sample_offset[] = {0, int64_t(samples.shape(0))};
    const int64_t gene_offset[] = {0, int64_t(genes.shape(0))};
    check_index(samples.data(), sample_offset, 1, shape.n);
    check_index(genes.data(), gene_offset, 1, shape.p);
    const Blocks blocks = {1, samples.data(), genes.data(), sample_offset, gene_offset, nullptr};
    const BlockGradients gradient = {to.arrays.u, to.arrays.v, to.arrays.network,
                                     to.arrays.loading, to.arrays.bias};
    double loss = 0.0;
    int64_t n_observed = 0;
    const Kernel& kernel = kernel_named(isa);
    {
        nb::gil_scoped_release unlocked;
        kernel.gradients(shape, model.arrays, expression.data(), blocks, n_threads, gradient,
                         &loss, &n_observed);
    }
    return nb::make_tuple(loss, n_observed);
}

static void decode(const Floats& given, const std::vector<int>& hidden, In<float, 2> points,
                   Out<float, 2> out, int n_threads, const std::string& isa) {
    const Checked model(given, hidden);
    require(int(points.shape(1)) == model.shape.d && out.shape(0) == points.shape(0) &&
                int64_t(out.shape(1)) == model.shape.p && n_threads >= 1,
            "points are k x n_components, out is k x n_genes");
    const Kernel& kernel = kernel_named(isa);
    nb::gil_scoped_release unlocked;
    kernel.decode(model.shape, model.arrays, points.data(), int64_t(points.shape(0)), n_threads,
                  out.data());
}

static void solve(const Floats& given, const std::vector<int>& hidden, In<float, 2> profiles,
                  In<float, 3> starts, int max_iterations, double tolerance, bool curvature_wanted, int n_threads,
                  const std::string& isa, Out<float, 2> u, Out<double, 1> loss,
                  Out<double, 3> curvature, Out<int64_t, 1> n_observed,
                  Out<int32_t, 1> n_iterations) {
    const Checked model(given, hidden);
    const size_t k = profiles.shape(0), d = size_t(model.shape.d);
    require(int64_t(profiles.shape(1)) == model.shape.p && starts.shape(0) == k &&
                starts.shape(1) >= 1 && starts.shape(2) == d && u.shape(0) == k &&
                u.shape(1) == d && loss.shape(0) == k && curvature.shape(0) == k &&
                curvature.shape(1) == d && curvature.shape(2) == d && n_observed.shape(0) == k &&
                n_iterations.shape(0) == k && n_threads >= 1,
            "profiles are k x n_genes, starts are k x n_starts x n_components");
    const SolveOptions options = {int(starts.shape(1)), max_iterations, tolerance,
                                  curvature_wanted};
    const Solution solution = {u.data(), loss.data(), curvature.data(), n_observed.data(),
                               n_iterations.data()};
    const Kernel& kernel = kernel_named(isa);
    nb::gil_scoped_release unlocked;
    kernel.solve(model.shape, model.arrays, profiles.data(), starts.data(), int64_t(k), options,
                 n_threads, solution);
}

static void squared_distances(In<float, 2> profiles, In<float, 2> candidates, int n_threads,
                              const std::string& isa, Out<float, 2> out) {
    require(profiles.shape(1) == candidates.shape(1) && out.shape(0) == profiles.shape(0) &&
                out.shape(1) == candidates.shape(0) && n_threads >= 1,
            "profiles are k x p, candidates c x p, out k x c");
    const Kernel& kernel = kernel_named(isa);
    nb::gil_scoped_release unlocked;
    kernel.squared_distances(profiles.data(), int64_t(profiles.shape(0)), candidates.data(),
                             int64_t(candidates.shape(0)), int64_t(profiles.shape(1)), n_threads,
                             out.data());
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
    // A wrong type is an error, never a converted copy that takes the results with it.
    const auto exact = [](const char* name) { return nb::arg(name).noconvert(); };
    module.def("train", &fembed::train, exact("arrays"), "hidden"_a, exact("first"),
               exact("second"), exact("sample_count"), exact("gene_count"),
               exact("network_count"), exact("expression"), exact("samples"),
               exact("sample_offset"), exact("genes"), exact("gene_offset"),
               exact("learning_rate"), "weight_decay"_a, "beta1"_a, "beta2"_a, "epsilon"_a,
               "lazy"_a, "n_threads"_a, "isa"_a, exact("loss"), exact("n_observed"));
    module.def("gradients", &fembed::gradients, exact("arrays"), "hidden"_a, exact("expression"),
               exact("samples"), exact("genes"), exact("out"), "n_threads"_a, "isa"_a);
    module.def("decode", &fembed::decode, exact("arrays"), "hidden"_a, exact("points"),
               exact("out"), "n_threads"_a, "isa"_a);
    module.def("solve", &fembed::solve, exact("arrays"), "hidden"_a, exact("profiles"),
               exact("starts"), "max_iterations"_a, "tolerance"_a, "curvature_wanted"_a, "n_threads"_a, "isa"_a,
               exact("u"), exact("loss"), exact("curvature"), exact("n_observed"),
               exact("n_iterations"));
    module.def("squared_distances", &fembed::squared_distances, exact("profiles"),
               exact("candidates"), "n_threads"_a, "isa"_a, exact("out"));
}
