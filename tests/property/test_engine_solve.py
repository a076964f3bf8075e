"""Facts about placing profiles: each alone, downhill, and at the reference's optimum."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from fembed import engine
from fembed._reference.loss import block_loss
from fembed._reference.network import forward
from fembed._reference.placement import jacobian, solve_sample
from fembed.engine import Solution
from fembed.parameters import Parameters
from tests.property.engine_problems import (
    engine_parameters,
    examples,
    loss_rounding,
    near_kink,
    rounding_size,
    thread_numbers,
    to_float32,
)
from tests.property.strategies import Float, expressions, generators, random_parameters

kernels = st.sampled_from(engine.ISAS)


@st.composite
def placements(draw: st.DrawFn, max_profiles: int = 6) -> tuple[Parameters, Float, Float]:
    """A model, profiles with unobserved genes, and one to three starts for each."""
    p = draw(engine_parameters(max_samples=3))
    profiles = draw(expressions(draw(st.integers(1, max_profiles)), p.n_genes))
    shape = len(profiles), draw(st.integers(1, 3)), p.n_components
    starts = draw(generators).normal(size=shape)
    return p, profiles.astype(np.float32), starts.astype(np.float32)


def loss_at(p: Parameters, profile: Float, u: Float) -> float:
    every_gene = np.arange(p.n_genes)
    return block_loss(
        replace(p, sample_embedding=u[None]), profile[None], np.array([0]), every_gene
    )[0]


@examples(40)
@given(placements(), thread_numbers)
def test_the_loss_is_that_of_the_point_and_never_above_a_starts(
    placement: tuple[Parameters, Float, Float], n_threads: int
) -> None:
    p, profiles, starts = placement
    for isa in engine.ISAS:
        found = engine.solve(p, profiles, starts, n_threads=n_threads, isa=isa)
        assert_array_equal(found.n_observed, (~np.isnan(profiles)).sum(axis=1))
        for i, profile in enumerate(profiles):
            size = rounding_size(p, np.vstack([found.u[i], starts[i]]), np.arange(p.n_genes))
            here = loss_at(p, profile, found.u[i])
            assert abs(found.loss[i] - here) <= loss_rounding(here, size)
            best = min(loss_at(p, profile, start) for start in starts[i])
            assert found.loss[i] <= best + loss_rounding(best, size)
            if found.n_observed[i] == 0:
                assert found.loss[i] == 0.0
                assert_array_equal(found.u[i], starts[i, 0])


@examples(40)
@given(placements(), st.integers(0, 20), thread_numbers)
def test_curvature_is_that_of_the_jacobian_at_the_point(
    placement: tuple[Parameters, Float, Float], max_iterations: int, n_threads: int
) -> None:
    p, profiles, starts = placement
    starts = starts[:, :1].copy()
    for isa in engine.ISAS:
        found = engine.solve(
            p, profiles, starts, max_iterations=max_iterations, n_threads=n_threads, isa=isa
        )
        if max_iterations == 0:
            assert_array_equal(found.u, starts[:, 0])
        for i, profile in enumerate(profiles):
            genes = np.flatnonzero(~np.isnan(profile))
            # A minimum may lie on a kink, where a gene has one of two slopes.
            kinks = near_kink(p, found.u[i : i + 1], genes)[0]
            if kinks.any():
                continue
            _, slope = jacobian(p, found.u[i], genes)
            size = float(np.trace(slope.T @ slope))
            assert_allclose(found.curvature[i], slope.T @ slope, rtol=0, atol=1e-5 * size)


@examples(20)
@given(placements(max_profiles=9), generators, thread_numbers, kernels)
def test_a_profiles_place_does_not_depend_on_its_company(
    placement: tuple[Parameters, Float, Float], rng: np.random.Generator, n_threads: int, isa: str
) -> None:
    p, profiles, starts = placement
    together = engine.solve(p, profiles, starts, n_threads=n_threads, isa=isa)
    order = rng.permutation(len(profiles))[: rng.integers(1, len(profiles) + 1)]
    some = engine.solve(p, profiles[order], starts[order], n_threads=1, isa=isa)
    assert_same(some, together, order)


def assert_same(one: Solution, other: Solution, rows: object = slice(None)) -> None:
    for field in fields(Solution):
        expected = getattr(other, field.name)[rows]
        assert_array_equal(getattr(one, field.name), expected, err_msg=field.name)


@examples(20)
@given(placements(), kernels)
def test_of_several_starts_the_best_is_kept(
    placement: tuple[Parameters, Float, Float], isa: str
) -> None:
    p, profiles, starts = placement
    together = engine.solve(p, profiles, starts, isa=isa)
    alone = [
        engine.solve(p, profiles, starts[:, [number]].copy(), isa=isa)
        for number in range(starts.shape[1])
    ]
    best = np.argmin([solution.loss for solution in alone], axis=0)
    for i, number in enumerate(best):
        row = slice(i, i + 1)
        total = sum(int(solution.n_iterations[i]) for solution in alone)
        assert together.n_iterations[i] == total
        for name in ("u", "loss", "curvature", "n_observed"):
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
    for isa in engine.ISAS:
        found = engine.solve(p, profile, start, tolerance=1e-9, isa=isa)
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
    u, loss, _, _ = solve_sample(p, profile, start, max_iterations=200)
    for isa in engine.ISAS:
        found = engine.solve(
            p, profile[None], start[None, None], max_iterations=200, tolerance=1e-9, isa=isa
        )
        # In float32 a residual of zero is known to about 1e-6 of the numbers it came from.
        assert found.loss[0] <= loss * (1 + 1e-4) + 1e-11, isa
        gap = slope @ (found.u[0] - u)
        assert gap @ gap < 1e-3 * loss * profile.size + 1e-9, isa


@examples(30)
@given(generators, st.integers(1, 6), st.sampled_from([(9,), (20, 10), (33, 12, 8)]), kernels)
def test_from_where_the_engine_stops_the_reference_goes_no_further(
    rng: np.random.Generator, n_components: int, hidden: tuple[int, ...], isa: str
) -> None:
    # Many genes: the sum of squares is then nearly smooth, without edges to be held up at.
    p = to_float32(random_parameters(rng, 1, 130, n_components, 3, hidden))
    profile = rng.normal(size=(1, 130)).astype(np.float32)
    profile[0, rng.permutation(130)[:20]] = np.nan
    start = rng.normal(size=(1, 1, n_components)).astype(np.float32)
    found = engine.solve(p, profile, start, max_iterations=200, tolerance=1e-9, isa=isa)
    _, further, _, _ = solve_sample(p, profile[0], found.u[0])
    assert further > 0.999 * found.loss[0]
