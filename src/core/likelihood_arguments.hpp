// What places and counts are judged by, checked; see arguments.hpp.
#pragma once
#include <nanobind/nanobind.h>

#include <cstdint>
#include <optional>

#include "interface.hpp"
#include "python_arrays.hpp"

namespace fembed {

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

// fembed.likelihood.Likelihood
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
        require(!factors || !counts.view(),
                "counts have no factors: give the factors as loadings of further unknowns");
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

}  // namespace fembed
