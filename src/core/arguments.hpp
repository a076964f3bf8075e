// The arguments of the binding: Python's objects checked, and as the structs of the interface.
//
// Every struct here holds the arrays that its pointers lead to: while a kernel works without the
// GIL, another thread may give the objects other arrays.
#pragma once
#include <nanobind/nanobind.h>
#include <nanobind/stl/vector.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "interface.hpp"
#include "likelihood_arguments.hpp"
#include "python_arrays.hpp"

namespace fembed {

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
