// The arguments of the binding: Python's objects checked, and as the structs of the interface.
//
// Every struct here holds the arrays that its pointers lead to: while a kernel works without the
// GIL, another thread may give the objects other arrays.
#pragma once
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/vector.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "interface.hpp"

namespace fembed {

namespace nb = nanobind;

template <class T, int N>
using In = nb::ndarray<const T, nb::ndim<N>, nb::c_contig, nb::device::cpu>;
template <class T, int N>
using Out = nb::ndarray<T, nb::ndim<N>, nb::c_contig, nb::device::cpu>;
using Floats = nb::ndarray<float, nb::c_contig, nb::device::cpu>;

inline void require(bool ok, const char* message) {
    if (!ok) throw nb::value_error(message);
}

template <class T>
T converted(nb::handle owner, const char* name, bool may_convert) {
    T value{};
    if (!nb::try_cast(nb::getattr(owner, name), value, may_convert)) {
        throw nb::type_error((std::string(name) + " has another type than the engine's").c_str());
    }
    return value;
}

// A wrong type is an error, never a converted copy that takes the results with it.
template <class Array>
Array array_of(nb::handle owner, const char* name) {
    return converted<Array>(owner, name, false);
}

template <class T>
T value_of(nb::handle owner, const char* name) {
    return converted<T>(owner, name, true);
}

inline bool has(nb::handle owner, const char* name) { return !owner.attr(name).is_none(); }

// fembed.parameters.Parameters
class ModelArgument {
   public:
    explicit ModelArgument(nb::handle given)
        : u(array_of<Floats>(given, "sample_embedding")),
          v(array_of<Floats>(given, "gene_embedding")), network(array_of<Floats>(given, "network")),
          hidden(value_of<std::vector<int>>(given, "hidden")) {
        if (has(given, "gene_loading")) loading = array_of<Floats>(given, "gene_loading");
        if (has(given, "gene_bias")) bias = array_of<Floats>(given, "gene_bias");
        require(u.ndim() == 2 && v.ndim() == 2 && network.ndim() == 1,
                "embeddings are matrices and the network is a vector");
        require(!hidden.empty() && hidden.size() <= 32, "1 to 32 hidden layers");
        model.shape = {int64_t(u.shape(0)), int64_t(v.shape(0)), int(u.shape(1)),
                       int(v.shape(1)),     int(hidden.size()),  hidden.data()};
        require(model.shape.d > 0 && model.shape.e > 0, "embeddings need at least one component");
        check_network();
        check_terms();
        model.arrays = {u.data(), v.data(), network.data(), loading ? loading->data() : nullptr,
                        bias ? bias->data() : nullptr};
    }
    ModelArgument(const ModelArgument&) = delete;
    ModelArgument& operator=(const ModelArgument&) = delete;

    operator const Model&() const { return model; }
    const Shape& shape() const { return model.shape; }
    const Arrays& arrays() const { return model.arrays; }

    // Of n samples and p genes, and otherwise like this one.
    bool has_twin(const ModelArgument& other, int64_t n, int64_t p) const {
        return other.shape().n == n && other.shape().p == p && other.shape().d == shape().d &&
               other.shape().e == shape().e && other.hidden == hidden &&
               !other.loading == !loading && !other.bias == !bias;
    }
    bool has_twin(const ModelArgument& other) const {
        return has_twin(other, shape().n, shape().p);
    }

   private:
    Floats u, v, network;
    std::vector<int> hidden;
    std::optional<Floats> loading, bias;
    Model model;

    void check_network() const {
        int64_t size = 0, n_in = model.shape.d + model.shape.e;
        for (int width : hidden) {
            require(width > 0, "hidden widths are positive");
            size += (n_in + 1) * width;
            n_in = width;
        }
        require(int64_t(network.shape(0)) == size + n_in + 1, "the network has another size");
    }

    void check_terms() const {
        if (loading) {
            require(loading->ndim() == 2 && int64_t(loading->shape(0)) == model.shape.p &&
                        int(loading->shape(1)) == model.shape.d,
                    "gene_loading is n_genes x n_components");
        }
        if (bias) {
            require(bias->ndim() == 1 && int64_t(bias->shape(0)) == model.shape.p,
                    "gene_bias has one value a gene");
        }
    }
};

// A repeat within a block would let two threads update one row at once.
inline void check_index(const int32_t* index, const int64_t* offset, int64_t n_blocks,
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

inline void check_offsets(const In<int64_t, 1>& offsets, int64_t total) {
    require(offsets.shape(0) >= 2 && offsets(0) == 0, "bad offsets");
    for (size_t t = 0; t + 1 < offsets.shape(0); ++t) {
        require(offsets(t + 1) > offsets(t), "a block is empty");
    }
    require(offsets(offsets.shape(0) - 1) == total, "bad offsets");
}

// fembed.engine.Blocks
struct BlocksArgument {
    In<int32_t, 1> samples, genes;
    In<int64_t, 1> sample_offset, gene_offset;

    BlocksArgument(nb::handle given, const Shape& shape)
        : samples(array_of<In<int32_t, 1>>(given, "samples")),
          genes(array_of<In<int32_t, 1>>(given, "genes")),
          sample_offset(array_of<In<int64_t, 1>>(given, "sample_offset")),
          gene_offset(array_of<In<int64_t, 1>>(given, "gene_offset")) {
        require(sample_offset.shape(0) == gene_offset.shape(0), "bad offsets");
        check_offsets(sample_offset, int64_t(samples.shape(0)));
        check_offsets(gene_offset, int64_t(genes.shape(0)));
        check_index(samples.data(), sample_offset.data(), count(), shape.n);
        check_index(genes.data(), gene_offset.data(), count(), shape.p);
    }
    int64_t count() const { return int64_t(sample_offset.shape(0)) - 1; }
    Blocks view() const {
        return {count(), samples.data(), genes.data(), sample_offset.data(), gene_offset.data()};
    }
};

// fembed.likelihood.Counts, or None; of a matrix of n rows and p columns.
class CountsArgument {
   public:
    CountsArgument(nb::handle given, int64_t n, int64_t p) {
        if (given.is_none()) return;
        row_offset = vector(given, "row_offset", n);
        column_offset = vector(given, "column_offset", p);
        row_dispersion = vector(given, "row_dispersion", n);
        column_dispersion = vector(given, "column_dispersion", p);
        check_all(row_offset, -MAX_OFFSET, MAX_OFFSET, "offsets are between -100 and 100");
        check_all(column_offset, -MAX_OFFSET, MAX_OFFSET, "offsets are between -100 and 100");
        check_all(row_dispersion, 0.0f, MAX_DISPERSION, "dispersions are between 0 and 1e12");
        check_all(column_dispersion, 0.0f, MAX_DISPERSION, "dispersions are between 0 and 1e12");
        counts = {data(row_offset), data(column_offset), data(row_dispersion),
                  data(column_dispersion)};
        is_given = true;
    }
    CountsArgument(const CountsArgument&) = delete;
    CountsArgument& operator=(const CountsArgument&) = delete;

    const Counts* view() const { return is_given ? &counts : nullptr; }

   private:
    using Values = std::optional<In<float, 1>>;
    static constexpr float MAX_OFFSET = 100.0f, MAX_DISPERSION = 1e12f;  // far from overflow
    Values row_offset, column_offset, row_dispersion, column_dispersion;
    Counts counts = {};
    bool is_given = false;

    static Values vector(nb::handle given, const char* name, int64_t size) {
        if (!has(given, name)) return {};
        Values values = array_of<In<float, 1>>(given, name);
        require(int64_t(values->shape(0)) == size,
                "counts have an offset and a dispersion for each row, or for each column");
        return values;
    }
    static const float* data(const Values& values) { return values ? values->data() : nullptr; }
    static void check_all(const Values& values, float least, float most, const char* message) {
        for (size_t i = 0; values && i < values->shape(0); ++i) {
            require((*values)(i) >= least && (*values)(i) <= most, message);  // not so for NaN
        }
    }
};

// fembed.engine.Steps
struct StepsArgument {
    In<float, 2> expression;
    CountsArgument counts;
    BlocksArgument blocks;
    Out<double, 1> loss;
    Out<int64_t, 1> n_observed;

    StepsArgument(nb::handle given, const Shape& shape)
        : expression(array_of<In<float, 2>>(given, "expression")),
          counts(given.attr("counts"), shape.n, shape.p), blocks(given.attr("blocks"), shape),
          loss(array_of<Out<double, 1>>(given, "loss")),
          n_observed(array_of<Out<int64_t, 1>>(given, "n_observed")) {
        require(int64_t(expression.shape(0)) == shape.n && int64_t(expression.shape(1)) == shape.p,
                "expression is n_samples x n_genes");
        require(int64_t(loss.shape(0)) == blocks.count() &&
                    int64_t(n_observed.shape(0)) == blocks.count(),
                "one loss and one count a step");
    }
    Steps view() const {
        return {expression.data(), counts.view(), blocks.view(), loss.data(), n_observed.data()};
    }
};

// fembed.engine.AdamState
struct AdamStateArgument {
    ModelArgument first, second;
    Out<int64_t, 1> sample_count, gene_count, network_count;

    AdamStateArgument(nb::handle given, const ModelArgument& model)
        : first(given.attr("first")), second(given.attr("second")),
          sample_count(array_of<Out<int64_t, 1>>(given, "sample_count")),
          gene_count(array_of<Out<int64_t, 1>>(given, "gene_count")),
          network_count(array_of<Out<int64_t, 1>>(given, "network_count")) {
        require(model.has_twin(first) && model.has_twin(second), "moments have another shape");
        require(int64_t(sample_count.shape(0)) == model.shape().n &&
                    int64_t(gene_count.shape(0)) == model.shape().p && network_count.shape(0) == 1,
                "counts have another shape");
    }
};

// fembed.engine.AdamOptions
struct AdamOptionsArgument {
    In<float, 2> learning_rates;
    float beta1, beta2, epsilon, weight_decay;
    bool lazy;

    AdamOptionsArgument(nb::handle given, int64_t n_steps)
        : learning_rates(array_of<In<float, 2>>(given, "learning_rates")),
          beta1(value_of<float>(given, "beta1")), beta2(value_of<float>(given, "beta2")),
          epsilon(value_of<float>(given, "epsilon")),
          weight_decay(value_of<float>(given, "weight_decay")),
          lazy(value_of<bool>(given, "lazy")) {
        require(int64_t(learning_rates.shape(0)) == n_steps && learning_rates.shape(1) == 3,
                "one row of three learning rates a step");
    }
    Adam with(const AdamStateArgument& state) const {
        Adam adam;
        adam.learning_rate = learning_rates.data();
        adam.beta1 = beta1, adam.beta2 = beta2, adam.epsilon = epsilon;
        adam.weight_decay = weight_decay, adam.lazy = lazy;
        adam.first = state.first.arrays(), adam.second = state.second.arrays();
        adam.u_count = state.sample_count.data(), adam.v_count = state.gene_count.data();
        adam.network_count = state.network_count.data();
        return adam;
    }
};

// fembed.engine.Likelihood
class LikelihoodArgument {
   public:
    LikelihoodArgument(nb::handle given, const Shape& shape, int64_t n_profiles)
        : counts(given.attr("counts"), n_profiles, shape.p) {
        if (has(given, "weight")) weight = array_of<In<float, 1>>(given, "weight");
        if (has(given, "factors")) factors = array_of<In<float, 2>>(given, "factors");
        if (has(given, "mean")) mean = array_of<In<double, 1>>(given, "mean");
        if (has(given, "precision")) precision = array_of<In<double, 2>>(given, "precision");
        const size_t p = size_t(shape.p), d = size_t(shape.d);
        require((!weight || weight->shape(0) == p) && (!factors || factors->shape(0) == p),
                "weight has one value a gene, factors one row");
        require(!mean == !precision && (!mean || (mean->shape(0) == d && precision->shape(0) == d &&
                                                  precision->shape(1) == d)),
                "a prior has a mean and a precision of the unknowns");
        require(!factors || !counts.view(), "factors are those of measured values, not of counts");
    }
    Likelihood view() const {
        return {counts.view(),
                weight ? weight->data() : nullptr,
                factors ? factors->data() : nullptr,
                factors ? int(factors->shape(1)) : 0,
                mean ? mean->data() : nullptr,
                precision ? precision->data() : nullptr};
    }

   private:
    CountsArgument counts;
    std::optional<In<float, 1>> weight;
    std::optional<In<float, 2>> factors;
    std::optional<In<double, 1>> mean;
    std::optional<In<double, 2>> precision;
};

// The arrays of fembed.engine.Solution, to be filled.
struct SolutionArgument {
    Out<float, 2> u;
    Out<double, 1> cost;
    Out<double, 3> curvature;
    Out<int64_t, 1> n_observed;
    Out<int32_t, 1> n_iterations;

    SolutionArgument(nb::handle given, size_t k, size_t d)
        : u(array_of<Out<float, 2>>(given, "u")), cost(array_of<Out<double, 1>>(given, "cost")),
          curvature(array_of<Out<double, 3>>(given, "curvature")),
          n_observed(array_of<Out<int64_t, 1>>(given, "n_observed")),
          n_iterations(array_of<Out<int32_t, 1>>(given, "n_iterations")) {
        require(u.shape(0) == k && u.shape(1) == d && cost.shape(0) == k &&
                    curvature.shape(0) == k && curvature.shape(1) == d && curvature.shape(2) == d &&
                    n_observed.shape(0) == k && n_iterations.shape(0) == k,
                "the solution has one row a profile");
    }
    Solution view() const {
        return {u.data(), cost.data(), curvature.data(), n_observed.data(), n_iterations.data()};
    }
};

}  // namespace fembed
