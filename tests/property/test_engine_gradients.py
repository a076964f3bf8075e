"""Facts about the engine's forward and backward pass: it is the reference, in float32."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from fembed import engine
from fembed._reference.loss import block_gradients, gradients_of
from fembed._reference.network import forward
from fembed.parameters import Parameters
from tests.property.engine_problems import (
    PUBLISHED,
    engine_parameters,
    engine_problems,
    examples,
    near_kink,
    rounding,
    rounding_size,
    thread_numbers,
    to_float32,
)
from tests.property.kernels import FLOAT32, KERNELS
from tests.property.strategies import Problem, generators, random_parameters


def without_kinks(problem: Problem) -> Problem:
    """Pairs with a unit that rounding may open or shut have two right gradients: unobserved."""
    x = problem.expression.copy()
    p, every_gene = problem.parameters, np.arange(problem.parameters.n_genes)
    x[near_kink(p, p.sample_embedding, every_gene)] = np.nan
    return replace(problem, expression=x)


@examples(40)
@given(engine_problems(exact=True), thread_numbers)
def test_gradients_of_whole_numbers_are_exact(problem: Problem, n_threads: int) -> None:
    p, rows, genes = problem.parameters, problem.rows, problem.genes
    loss, n_observed, expected = block_gradients(p, problem.block, rows, genes)
    # Without the factor 2/n a gradient is a whole number; the engine multiplies last.
    scale = 2 / max(n_observed, 1)
    sums = {name: np.rint(array / scale) for name, array in expected.arrays().items()}
    for kernel in FLOAT32:
        found = kernel.run(
            engine.gradients, p, problem.expression, rows, genes, n_threads=n_threads
        )
        assert found[0] == pytest.approx(loss, rel=1e-6)
        assert found[1] == n_observed
        for name, array in found[2].arrays().items():
            exact = np.float32(scale) * sums[name].astype(np.float32)
            assert_array_equal(array, exact, err_msg=f"{kernel} {name}")


@examples(40)
@given(engine_problems(counts=None).map(without_kinks), thread_numbers)
def test_gradients_are_the_references(problem: Problem, n_threads: int) -> None:
    assert_gradients_are_the_references(problem, n_threads)


def test_gradients_of_the_published_network_are_the_references() -> None:
    rng = np.random.default_rng(5)
    p = to_float32(random_parameters(rng, 20, 70, 2, 50, PUBLISHED, loading=False, bias=False))
    x = rng.normal(size=(20, 70)).astype(np.float32)
    problem = Problem(p, x, rng.permutation(20)[:17], rng.permutation(70)[:67])
    assert_gradients_are_the_references(without_kinks(problem), 2)


def assert_gradients_are_the_references(problem: Problem, n_threads: int) -> None:
    p, rows, genes, counts = problem.parameters, problem.rows, problem.genes, problem.counts
    loss, n_observed, expected = block_gradients(p, problem.block, rows, genes, counts)
    rounded = rounding(problem)
    n = max(n_observed, 1)
    # What the gradient would be of slopes that are nothing but rounding.
    signs = np.random.default_rng(0).choice([-1.0, 1.0], rounded.slope.shape)
    noise = gradients_of(p, rows, genes, 2 / n * signs * rounded.slope).arrays()
    for kernel in KERNELS:
        found = kernel.run(
            engine.gradients, p, problem.expression, rows, genes, counts=counts, n_threads=n_threads
        )
        assert abs(found[0] - loss) <= 1e-5 * loss + rounded.loss.sum() / n
        assert found[1] == n_observed
        for name, array in found[2].arrays().items():
            gap = np.linalg.norm(array.astype(np.float64) - expected.arrays()[name])
            size = np.linalg.norm(expected.arrays()[name])
            assert gap <= 1e-4 * size + 10 * np.linalg.norm(noise[name]), f"{kernel} {name}"


@examples(40)
@given(engine_parameters(), generators, thread_numbers)
def test_decode_is_the_references_forward(
    p: Parameters, rng: np.random.Generator, n_threads: int
) -> None:
    every_gene, some_genes = np.arange(p.n_genes), rng.permutation(p.n_genes)[: p.n_genes // 2 + 1]
    expected = forward(p, np.arange(p.n_samples), every_gene)
    size = rounding_size(p, p.sample_embedding, every_gene)
    for kernel in KERNELS:
        whole = kernel.run(engine.decode, p, p.sample_embedding, n_threads=n_threads)
        assert np.abs(whole - expected).max() < 1e-5 * size, kernel
        part = kernel.run(engine.decode, p, p.sample_embedding, genes=some_genes, n_threads=1)
        one = kernel.run(engine.decode, p, p.sample_embedding[-1:], n_threads=1)
        if kernel.is_native:
            assert_array_equal(part, whole[:, some_genes], err_msg=kernel.name)
            assert_array_equal(one, whole[-1:], err_msg=kernel.name)
        else:  # PyTorch adds up in an order that depends on the size of a product
            assert np.abs(part - whole[:, some_genes]).max() < 1e-5 * size
            assert np.abs(one - whole[-1:]).max() < 1e-5 * size


@examples(30)
@given(generators, st.integers(1, 21), st.integers(1, 9), st.integers(1, 200), thread_numbers)
def test_squared_distances_are_numpys_over_observed_genes(
    rng: np.random.Generator, k: int, n_candidates: int, n_genes: int, n_threads: int
) -> None:
    profiles = rng.normal(size=(k, n_genes)).astype(np.float32)
    profiles[rng.random(profiles.shape) < rng.choice([0.0, 0.3, 1.0])] = np.nan
    candidates = rng.normal(size=(n_candidates, n_genes)).astype(np.float32)
    gaps = profiles[:, None, :].astype(np.float64) - candidates
    expected = np.nansum(gaps**2, axis=-1)
    order = rng.permutation(k)[: rng.integers(1, k + 1)]
    for kernel in KERNELS:
        found = kernel.run(engine.squared_distances, profiles, candidates, n_threads=n_threads)
        np.testing.assert_allclose(found, expected, rtol=1e-5, err_msg=kernel.name)
        some = kernel.run(engine.squared_distances, profiles[order], candidates, n_threads=1)
        if kernel.is_native:
            assert_array_equal(some, found[order], err_msg=kernel.name)
