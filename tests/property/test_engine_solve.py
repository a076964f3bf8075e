"""Facts about placing profiles: each alone, downhill, and at the reference's optimum."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from fembed import engine
from fembed._reference.network import forward
from fembed._reference.placement import cost, jacobian, solve_sample
from fembed.engine import Solution
from fembed.likelihood import LEAST_SQUARES, Likelihood
from fembed.parameters import Parameters
from tests.property.engine_problems import (
    engine_parameters,
    examples,
    loss_rounding,
    near_kink,
    rounding,
    rounding_size,
    thread_numbers,
    to_float32,
)
from tests.property.kernels import KERNELS, Kernel, float32_kernels, native_kernels
from tests.property.strategies import (
    Float,
    Problem,
    counted,
    expressions,
    generators,
    likelihoods,
    random_parameters,
)


@dataclass(frozen=True)
class Placing:
    """A model, profiles with unobserved genes, one to three starts for each, and a likelihood."""

    p: Parameters
    profiles: Float
    starts: Float
    likelihood: Likelihood

    def solved(self, kernel: Kernel, rows: Any = slice(None), **options: Any) -> Solution:
        """The solution of some profiles."""
        profiles, starts = (np.ascontiguousarray(x[rows]) for x in (self.profiles, self.starts))
        likelihood = self.likelihood.take_profiles(rows)
        found = kernel.run(engine.solve, self.p, profiles, starts, likelihood=likelihood, **options)
        assert isinstance(found, Solution)
        return found

    def judged(self, i: int, u: Float, **changes: Any) -> tuple[float, Float, Float]:
        """The reference's cost of a place of a profile, its gradient and its curvature."""
        likelihood = replace(self.likelihood.take_profiles([i]), **changes)
        return cost(self.p, self.profiles[i], u.astype(np.float64), likelihood)

    def cost(self, i: int, u: Float) -> float:
        """The reference's."""
        return self.judged(i, u)[0]

    def rounding(self, i: int, value: float, *points: Float) -> float:
        """What float32 may make of a cost: see `loss_rounding`, in units of a gene's noise."""
        if self.likelihood.counts is not None:
            return 1e-5 * value + sum(self.rounding_of_counts(i, point) for point in points)
        genes = np.arange(self.p.n_genes)
        size = rounding_size(self.p, np.vstack(points), genes)
        weight = 1.0 if self.likelihood.weight is None else float(self.likelihood.weight.max())
        n = max(1, int((~np.isnan(self.profiles[i])).sum()))
        # Factors take most of a sum of squares away, whose rounding stays.
        plain = cost(self.p, self.profiles[i], points[0].astype(np.float64))[0] * weight
        return n * loss_rounding(max(plain, value) / n, size * np.sqrt(weight))

    def rounding_of_counts(self, i: int, u: Float) -> float:
        at = replace(self.p, sample_embedding=np.repeat(u[None], len(self.profiles), axis=0))
        every = np.arange(self.p.n_genes)
        problem = Problem(at, self.profiles, np.array([i]), every, self.likelihood.counts)
        weight = 1.0 if self.likelihood.weight is None else self.likelihood.weight
        return float((weight * rounding(problem).loss).sum())


@st.composite
def placements(
    draw: st.DrawFn, max_profiles: int = 6, max_starts: int = 3, p: Parameters | None = None
) -> Placing:
    p = draw(engine_parameters(max_samples=3)) if p is None else p
    n = draw(st.integers(1, max_profiles))
    profiles = draw(expressions(n, p.n_genes)).astype(np.float32)
    starts = draw(generators).normal(size=(n, draw(st.integers(1, max_starts)), p.n_components))
    starts = starts.astype(np.float32)
    kind = draw(st.sampled_from(["squares", "measured", "counts", "counts"]))
    if kind == "squares":
        return Placing(p, profiles, starts, LEAST_SQUARES)
    if kind == "measured":
        return Placing(p, profiles, starts, draw(likelihoods(p.n_genes, p.n_components)))
    truth = replace(p, sample_embedding=starts[:, 0] + np.float32(0.1))
    everything = np.arange(n), np.arange(p.n_genes)
    problem = draw(counted(Problem(truth, profiles, *everything)))
    likelihood = draw(likelihoods(p.n_genes, p.n_components, problem.counts))
    return Placing(p, problem.expression, starts, likelihood)


@examples(60)
@given(placements(), thread_numbers)
def test_the_cost_is_that_of_the_point_and_never_above_a_starts(
    placing: Placing, n_threads: int
) -> None:
    for kernel in KERNELS:
        found = placing.solved(kernel, n_threads=n_threads)
        assert_array_equal(found.n_observed, (~np.isnan(placing.profiles)).sum(axis=1))
        for i, starts in enumerate(placing.starts):
            here = placing.cost(i, found.u[i])
            assert abs(found.cost[i] - here) <= placing.rounding(i, here, found.u[i])
            best = min(starts, key=lambda start: placing.cost(i, start))
            least = placing.cost(i, best)
            assert found.cost[i] <= least + placing.rounding(i, least, best, found.u[i])
            if found.n_observed[i] == 0 and placing.likelihood.precision is None:
                assert found.cost[i] == 0.0
                assert_array_equal(found.u[i], starts[0])


@examples(60)
@given(placements(max_starts=1), st.integers(0, 20), thread_numbers)
def test_curvature_is_that_of_the_reference_at_the_point(
    placing: Placing, max_iterations: int, n_threads: int
) -> None:
    p, profiles = placing.p, placing.profiles
    for kernel in KERNELS:
        found = placing.solved(kernel, max_iterations=max_iterations, n_threads=n_threads)
        if max_iterations == 0:
            assert_array_equal(found.u, placing.starts[:, 0])
        for i, profile in enumerate(profiles):
            genes = np.flatnonzero(~np.isnan(profile))
            # A minimum may lie on a kink, where a gene has one of two slopes.
            kinks = near_kink(p, found.u[i : i + 1], genes)[0]
            if kinks.any():
                continue
            u = found.u[i]
            expected = placing.judged(i, u)[2]
            size = float(np.trace(placing.judged(i, u, factors=None)[2]))
            share = 1e-5
            if placing.likelihood.counts is not None:  # a weight is in proportion to its mean
                share += 4e-6 * rounding_size(p, u[None], genes) + 1e-5
            assert_allclose(found.curvature[i], expected, rtol=0, atol=share * size)


@examples(30)
@given(placements(max_profiles=9), generators, thread_numbers, native_kernels)
def test_a_profiles_place_does_not_depend_on_its_company(
    placing: Placing, rng: np.random.Generator, n_threads: int, kernel: Kernel
) -> None:
    together = placing.solved(kernel, n_threads=n_threads)
    n = len(placing.profiles)
    order = rng.permutation(n)[: rng.integers(1, n + 1)]
    assert_same(placing.solved(kernel, order, n_threads=1), together, order)


def assert_same(one: Solution, other: Solution, rows: object = slice(None)) -> None:
    for field in fields(Solution):
        expected = getattr(other, field.name)[rows]
        assert_array_equal(getattr(one, field.name), expected, err_msg=field.name)


@examples(20)
@given(placements(), native_kernels)
def test_of_several_starts_the_best_is_kept(placing: Placing, kernel: Kernel) -> None:
    together = placing.solved(kernel)
    alone = [
        replace(placing, starts=placing.starts[:, [number]]).solved(kernel)
        for number in range(placing.starts.shape[1])
    ]
    best = np.argmin([solution.cost for solution in alone], axis=0)
    for i, number in enumerate(best):
        row = slice(i, i + 1)
        total = sum(int(solution.n_iterations[i]) for solution in alone)
        assert together.n_iterations[i] == total
        for name in ("u", "cost", "curvature", "n_observed"):
            expected = getattr(alone[number], name)[row]
            assert_array_equal(getattr(together, name)[row], expected, err_msg=name)


@examples(30)
@given(generators, st.integers(1, 20), st.integers(0, 40), st.sampled_from([41, 64, 96, 150]))
def test_solving_a_linear_model_is_least_squares(
    rng: np.random.Generator, n_components: int, n_missing: int, n_genes: int
) -> None:
    p = random_parameters(rng, 1, n_genes, n_components, 2, (3,), bias=False)
    p.network[:] = 0
    profile = rng.normal(size=(1, n_genes)).astype(np.float32)
    profile[0, rng.permutation(n_genes)[:n_missing]] = np.nan
    seen = ~np.isnan(profile[0])
    p = to_float32(p)
    assert p.gene_loading is not None
    loading = p.gene_loading[seen].astype(np.float64)
    assume(seen.sum() > n_components and np.linalg.cond(loading) < 30)
    expected, (sse,), *_ = np.linalg.lstsq(loading, profile[0, seen].astype(np.float64))
    start = rng.normal(size=(1, 1, n_components)).astype(np.float32)
    for kernel in KERNELS:
        found = kernel.run(engine.solve, p, profile, start, tolerance=1e-9)
        # A sum of squares in float32 tells no nearer point from the best one.
        gap = loading @ (found.u[0] - expected)
        assert gap @ gap < 1e-5 * sse
        assert found.loss[0] == pytest.approx(sse / seen.sum(), rel=1e-5)
        assert_allclose(found.curvature[0], loading.T @ loading, rtol=1e-5, atol=1e-4)


@examples(30)
@given(
    generators,
    st.integers(1, 5),
    st.sampled_from([(17,), (16, 9), (33, 12, 8, 8)]),
    st.sampled_from([0.0, 0.05]),
)
def test_near_a_decoded_point_the_optimum_is_the_references(
    rng: np.random.Generator, n_components: int, hidden: tuple[int, ...], noise: float
) -> None:
    p = to_float32(random_parameters(rng, 1, 150, n_components, 3, hidden))
    truth = p.sample_embedding[0].astype(np.float64)
    profile = forward(p, np.array([0]), np.arange(150))[0] + noise * rng.normal(size=150)
    profile[rng.permutation(150)[:30]] = np.nan
    profile = profile.astype(np.float32)
    _, slope = jacobian(p, truth, np.flatnonzero(~np.isnan(profile)))
    assume(np.linalg.cond(slope) < 30)
    start = (truth + 1e-2 * rng.normal(size=n_components)).astype(np.float32)
    u, least, _ = solve_sample(p, profile, start, max_iterations=200)
    for kernel in KERNELS:
        found = kernel.run(
            engine.solve, p, profile[None], start[None, None], max_iterations=200, tolerance=1e-9
        )
        # In float32 a residual of zero is known to about 1e-6 of the numbers it came from.
        assert found.cost[0] <= least * (1 + 1e-4) + 1e-9, kernel
        gap = slope @ (found.u[0] - u)
        assert gap @ gap < 1e-3 * least + 1e-9, kernel


@examples(40)
@given(generators, st.integers(1, 5), st.sampled_from([(17,), (16, 9), (33, 12)]), st.data())
def test_under_a_likelihood_the_optimum_is_the_references(
    rng: np.random.Generator, n_components: int, hidden: tuple[int, ...], data: st.DataObject
) -> None:
    p = to_float32(random_parameters(rng, 1, 150, n_components, 3, hidden))
    likelihood = data.draw(likelihoods(150, n_components))
    profile = forward(p, np.array([0]), np.arange(150))[0] + 0.3 * rng.normal(size=150)
    profile[rng.permutation(150)[:30]] = np.nan
    profile = profile.astype(np.float32)
    start = p.sample_embedding[0]
    for kernel in KERNELS:
        found = kernel.run(
            engine.solve,
            p,
            profile[None],
            start[None, None],
            likelihood=likelihood,
            max_iterations=200,
            tolerance=1e-9,
        )
        u, least, curvature = solve_sample(p, profile, found.u[0], likelihood)
        assume(np.linalg.cond(curvature) < 1e3)
        # From where the engine stops, the reference goes no further but for an edge's height.
        assert found.cost[0] <= least * 1.001 + 0.05
        gap = u - found.u[0]
        assert gap @ curvature @ gap <= 0.01 * least + 0.1


@examples(40)
@given(generators, st.integers(1, 5), st.sampled_from([(17,), (16, 9), (33, 12)]), st.data())
def test_of_counts_the_optimum_is_the_references(
    rng: np.random.Generator, n_components: int, hidden: tuple[int, ...], data: st.DataObject
) -> None:
    p = to_float32(random_parameters(rng, 1, 150, n_components, 3, hidden))
    values = np.zeros((1, 150), np.float32)
    values[0, rng.permutation(150)[:30]] = np.nan
    problem = data.draw(counted(Problem(p, values, np.array([0]), np.arange(150)), ("drawn",)))
    likelihood = data.draw(likelihoods(150, n_components, problem.counts))
    placing = Placing(p, problem.expression, p.sample_embedding[:, None, :], likelihood)
    for kernel in KERNELS:
        found = placing.solved(kernel, max_iterations=200, tolerance=1e-9)
        u, least, curvature = solve_sample(p, problem.expression[0], found.u[0], likelihood)
        assume(np.linalg.cond(curvature) < 1e3)
        # From where the engine stops, the reference goes no further but for an edge's height.
        assert found.cost[0] <= least * 1.001 + 0.05 + placing.rounding(0, least, found.u[0])
        gap = u - found.u[0]
        assert gap @ curvature @ gap <= 0.01 * least + 0.1


@examples(30)
@given(
    generators, st.integers(1, 6), st.sampled_from([(9,), (20, 10), (33, 12, 8)]), float32_kernels
)
def test_from_where_the_engine_stops_the_reference_goes_no_further(
    rng: np.random.Generator, n_components: int, hidden: tuple[int, ...], kernel: Kernel
) -> None:
    # Many genes: the sum of squares is then nearly smooth, without edges to be held up at.
    p = to_float32(random_parameters(rng, 1, 130, n_components, 3, hidden))
    profile = rng.normal(size=(1, 130)).astype(np.float32)
    profile[0, rng.permutation(130)[:20]] = np.nan
    start = rng.normal(size=(1, 1, n_components)).astype(np.float32)
    found = kernel.run(engine.solve, p, profile, start, max_iterations=200, tolerance=1e-9)
    _, further, _ = solve_sample(p, profile[0], found.u[0])
    assert further > 0.999 * found.cost[0]
