"""Facts about solving genes: roles are changed, the prior is one, and the noise of steps goes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from fembed import engine
from fembed._reference.loss import pair_losses
from fembed._reference.network import forward
from fembed.config import FitConfig
from fembed.likelihood import Counts
from fembed.parameters import Parameters
from fembed.solvers.genes import GeneSolver, can_solve_genes, solve_genes
from fembed.solvers.prior import Prior
from fembed.train import fast, fit
from tests.curved_expression import SMALL, curved, expression
from tests.property.engine_problems import rounding, to_float32
from tests.property.strategies import (
    Float,
    Problem,
    generators,
    parameters,
    problems,
    random_parameters,
)


def a_prior(rng: np.random.Generator, n_unknowns: int, noise: float = 0.5) -> Prior:
    root = rng.normal(size=(n_unknowns, n_unknowns)) + 2.0 * np.eye(n_unknowns)
    return Prior(rng.normal(size=n_unknowns), root @ root.T + np.eye(n_unknowns), noise)


def objective(p: Parameters, values: Float, prior: Prior, counts: Counts | None = None) -> Float:
    """Every gene's sum of squares or deviances and what its unknowns cost, in double precision."""
    p = p.astype(np.float64)
    every = np.arange(p.n_samples), np.arange(p.n_genes)
    losses, _, _ = pair_losses(forward(p, *every), values, *every, counts)
    away = p.gene_unknowns().astype(np.float64) - prior.mean
    return losses.sum(axis=0) + np.einsum("gi,ij,gj->g", away, prior.likelihood.precision, away)


@settings(deadline=None, max_examples=60)
@given(parameters())
def test_the_unknowns_are_all_that_belongs_to_genes(p: Parameters) -> None:
    p = to_float32(p)
    blank = p.with_genes(np.zeros_like(p.gene_unknowns()))
    again = blank.with_genes(p.gene_unknowns())
    for name, array in p.arrays().items():
        assert_array_equal(again.arrays()[name], array)


@settings(deadline=None, max_examples=60)
@given(parameters(), generators, st.floats(0.0, 0.5))
def test_the_loss_of_genes_is_that_of_the_reference_with_its_prior(
    p: Parameters, rng: np.random.Generator, missing: float
) -> None:
    p = to_float32(p)
    values = rng.normal(size=(p.n_samples, p.n_genes)).astype(np.float32)
    values[rng.random(values.shape) < missing] = np.nan
    prior = a_prior(rng, p.gene_unknowns().shape[1])
    expected = objective(p, values, prior)
    solver, start = GeneSolver(p, prior), p.gene_unknowns()[:, None, :]
    here = solver.solve(values.T, start, max_iterations=0)
    assert_allclose(here.cost, expected, rtol=1e-3, atol=1e-3)
    solved = solver.solve(values.T, start, max_iterations=20)
    after = objective(p.with_genes(solved.u), values, prior)
    assert (after <= expected * (1 + 1e-4) + 1e-3).all()


@settings(deadline=None, max_examples=40)
@given(problems(counts=True), generators)
def test_the_loss_of_counted_genes_is_that_of_the_matrix_turned_over(
    problem: Problem, rng: np.random.Generator
) -> None:
    p = to_float32(problem.parameters)
    assert problem.counts is not None
    values, counts = problem.expression.astype(np.float32), problem.counts
    problem = replace(problem, rows=np.arange(p.n_samples), genes=np.arange(p.n_genes))
    slack = 1e-3 + 3 * rounding(problem).loss.sum(axis=0)
    prior = a_prior(rng, p.gene_unknowns().shape[1])
    expected = objective(p, values, prior, counts)
    solver, start = GeneSolver(p, prior), p.gene_unknowns()[:, None, :]
    turned = counts.transposed()
    here = solver.solve(values.T, start, max_iterations=0, counts=turned)
    assert (np.abs(here.cost - expected) <= 1e-3 * expected + slack).all()
    solved = solver.solve(values.T, start, max_iterations=20, counts=turned)
    assert (solved.cost <= here.cost).all()
    some = solver.solve(
        values.T[:2], start[:2], max_iterations=20, counts=turned.take_rows(slice(0, 2))
    )
    assert_array_equal(some.u, solved.u[:2])


@settings(deadline=None, max_examples=30)
@given(generators, st.integers(1, 4), st.booleans())
def test_without_a_network_a_gene_is_a_ridge_regression(
    rng: np.random.Generator, d: int, bias: bool
) -> None:
    p = to_float32(random_parameters(rng, 30, 5, d, 3, (6, 4), loading=True, bias=bias))
    p.layers()[-1].weight[:] = 0.0
    constant = float(p.layers()[-1].bias[0])
    values = rng.normal(size=(30, 5)).astype(np.float32)
    prior = a_prior(rng, p.gene_unknowns().shape[1])
    found = GeneSolver(p, prior).solve(
        values.T, p.gene_unknowns()[:, None, :], max_iterations=50, curvature=True
    )
    design = np.zeros((30, p.gene_unknowns().shape[1]))
    design[:, 3 : 3 + d] = p.sample_embedding
    if bias:
        design[:, -1] = 1.0
    normal = design.T @ design + prior.likelihood.precision
    right = design.T @ (values - constant) + (prior.likelihood.precision @ prior.mean)[:, None]
    assert_allclose(found.u, np.linalg.solve(normal, right).T, rtol=2e-2, atol=2e-2)
    assert_allclose(found.curvature[0], normal, rtol=1e-3, atol=1e-3)


def test_neither_threads_nor_other_genes_change_a_solved_gene() -> None:
    rng = np.random.default_rng(0)
    p = to_float32(random_parameters(rng, 40, 90, 2, 5, (16, 8), loading=True, bias=True))
    values = rng.normal(size=(40, 90)).astype(np.float32)
    one, two = p.copy(), p.copy()
    solve_genes(one, values, 1)
    solve_genes(two, values, 2)
    assert_array_equal(one.gene_unknowns(), two.gene_unknowns())
    assert not np.array_equal(one.gene_unknowns(), p.gene_unknowns())
    assert_array_equal(one.network, p.network)
    assert_array_equal(one.sample_embedding, p.sample_embedding)

    prior = a_prior(rng, p.gene_unknowns().shape[1])
    start = p.gene_unknowns()[:, None, :]
    everyone = GeneSolver(p, prior).solve(values.T, start, max_iterations=5)
    few = GeneSolver(p, prior).solve(values.T[7:9], start[7:9], max_iterations=5)
    assert_array_equal(few.u, everyone.u[7:9])


def test_values_without_noise_and_genes_without_variance_are_no_obstacle() -> None:
    rng = np.random.default_rng(1)
    p = to_float32(random_parameters(rng, 12, 90, 2, 5, (16, 8), loading=True, bias=True))
    values = engine.decode(p, p.sample_embedding)  # fewer samples than some genes' unknowns
    before = np.abs(values[:, 3]).max()
    values[:, 3] = 0.0
    values[:, 4] = np.nan
    solve_genes(p, values)
    assert all(np.isfinite(array).all() for array in p.arrays().values())
    assert np.abs(engine.decode(p, p.sample_embedding)[:, 3]).max() < 0.2 * before


def test_who_is_not_solved() -> None:
    def solvable(
        n_samples: int, n_genes: int, gene_components: int, decay: float = 0.0, linear: bool = True
    ) -> bool:
        rng = np.random.default_rng(0)
        p = random_parameters(
            rng, n_samples, 1, 2, gene_components, (4,), loading=linear, bias=linear
        )
        genes = np.zeros((n_genes, gene_components))
        return can_solve_genes(replace(p, gene_embedding=genes), decay)

    assert solvable(2500, 30 * 53, 50)
    assert not solvable(2500, 30 * 53, 50, decay=1e-6)
    assert not solvable(2500, 30 * 53, 50, linear=False)  # the published model
    assert not solvable(2501, 30 * 53, 50)
    assert not solvable(2500, 30 * 53 - 1, 50)
    assert not solvable(100, 9000, 200)


@pytest.mark.parametrize("weight_decay", [0.0, 1e-4])
def test_a_weight_decay_is_the_only_prior(
    weight_decay: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    monkeypatch.setattr(fast, "solve_genes", lambda *arguments: calls.append(arguments))
    config = FitConfig(weight_decay=weight_decay, iterations=20, **SMALL)
    fit(expression(curved(n_genes=400)), config, transform="none")
    assert bool(calls) == (weight_decay == 0.0)
