"""Facts about the oracle: gradients are derivatives, Adam is Adam, the solver only descends."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from scipy.stats import multivariate_normal

from fembed._reference.loss import block_gradients, block_loss
from fembed._reference.network import forward, pre_activations
from fembed._reference.placement import cost, jacobian, solve_sample
from fembed._reference.training import Updates, adam_update, train_blocks
from fembed.likelihood import LEAST_SQUARES
from fembed.parameters import Parameters
from tests.property.strategies import (
    Problem,
    blocks,
    expressions,
    generators,
    likelihoods,
    parameters,
    problems,
)
from tests.property.strategies import random_parameters as random_parameters_of

Float = NDArray[np.floating[Any]]
Index = NDArray[np.int64]

# Small enough that few draws cross a ReLU's kink, large enough that rounding stays near 1e-10.
H = 1e-6


def everything(p: Parameters) -> tuple[Index, Index]:
    return np.arange(p.n_samples), np.arange(p.n_genes)


def relu_pattern(p: Parameters, samples: Float, genes: Index) -> list[NDArray[np.bool_]]:
    return [z > 0 for z in pre_activations(p, samples, genes)[:-1]]


def same_pattern(one: list[NDArray[np.bool_]], other: list[NDArray[np.bool_]]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def take_rows(p: Parameters, rows: Index, genes: Index) -> Parameters:
    """The rows of a block, in the layout of ``block_gradients``."""
    return replace(
        p,
        sample_embedding=p.sample_embedding[rows],
        gene_embedding=p.gene_embedding[genes],
        gene_loading=None if p.gene_loading is None else p.gene_loading[genes],
        gene_bias=None if p.gene_bias is None else p.gene_bias[genes],
    )


# Forward and loss


@given(problems())
def test_forward_is_the_network_on_concatenated_embeddings(problem: Problem) -> None:
    p = problem.parameters
    x_hat = forward(p, problem.rows, problem.genes)
    assert x_hat.shape == (problem.rows.size, problem.genes.size)
    for (a, b), prediction in np.ndenumerate(x_hat):
        i, j = problem.rows[a], problem.genes[b]
        hidden = np.concatenate([p.sample_embedding[i], p.gene_embedding[j]])
        for layer in p.layers()[:-1]:
            hidden = np.maximum(layer.weight @ hidden + layer.bias, 0)
        expected = (p.layers()[-1].weight @ hidden + p.layers()[-1].bias)[0]
        if p.gene_loading is not None:
            expected += p.sample_embedding[i] @ p.gene_loading[j]
        if p.gene_bias is not None:
            expected += p.gene_bias[j]
        assert prediction == pytest.approx(expected, rel=1e-10, abs=1e-12)


@given(problems())
def test_loss_is_the_mean_over_observed_entries_only(problem: Problem) -> None:
    loss, n_observed = block_loss(problem.parameters, problem.block, problem.rows, problem.genes)
    x_hat = forward(problem.parameters, problem.rows, problem.genes)
    errors = [
        (x_hat[place] - x) ** 2 for place, x in np.ndenumerate(problem.block) if not np.isnan(x)
    ]
    assert n_observed == len(errors)
    assert loss == (pytest.approx(np.mean(errors)) if errors else 0.0)


@given(problems(), st.data())
def test_loss_of_the_matrix_is_the_weighted_mean_over_any_partition(
    problem: Problem, data: st.DataObject
) -> None:
    p, x = problem.parameters, problem.expression
    row_parts = np.split(*_cuts(data, p.n_samples))
    gene_parts = np.split(*_cuts(data, p.n_genes))
    total, n_total = 0.0, 0
    for rows in row_parts:
        for genes in gene_parts:
            loss, n_observed = block_loss(p, x[np.ix_(rows, genes)], rows, genes)
            total, n_total = total + loss * n_observed, n_total + n_observed
    whole, n_whole = block_loss(p, x, *everything(p))
    assert n_total == n_whole
    assert total / max(n_total, 1) == pytest.approx(whole)


def _cuts(data: st.DataObject, size: int) -> tuple[Index, list[int]]:
    """A permutation of ``range(size)`` and sorted places to cut it at."""
    order = data.draw(generators).permutation(size)
    return order, sorted(data.draw(st.sets(st.integers(0, size), max_size=3)))


# Gradients


@given(problems(counts=None), generators)
def test_gradient_of_every_array_is_the_central_difference(
    problem: Problem, rng: np.random.Generator
) -> None:
    rows, genes, block = problem.rows, problem.genes, problem.block
    p = take_rows(problem.parameters, rows, genes)
    counts = problem.counts
    loss, n_observed, gradients = block_gradients(problem.parameters, block, rows, genes, counts)
    assert (loss, n_observed) == block_loss(problem.parameters, block, rows, genes, counts)
    counts = None if counts is None else counts.take_rows(rows).take_columns(genes)
    assert gradients.arrays().keys() == p.arrays().keys()
    whole = everything(p)
    for name, array in p.arrays().items():
        gradient = gradients.arrays()[name]
        assert gradient.shape == array.shape
        direction = rng.normal(size=array.shape)
        up, down = p.copy(), p.copy()
        setattr(up, name, array + H * direction)
        setattr(down, name, array - H * direction)
        assume(
            same_pattern(
                relu_pattern(up, up.sample_embedding, whole[1]),
                relu_pattern(down, down.sample_embedding, whole[1]),
            )
        )
        above, below = (block_loss(moved, block, *whole, counts)[0] for moved in (up, down))
        difference = above - below
        size = 1 + loss + float(np.linalg.norm(gradient))
        if counts is not None and n_observed:
            size += 0.1 * float(np.nanmean(block))
        assert np.sum(gradient * direction) == pytest.approx(
            difference / (2 * H), rel=1e-6, abs=1e-7 * size
        ), name


@given(problems())
def test_rows_without_an_observed_entry_have_no_gradient(problem: Problem) -> None:
    block = problem.block.copy()
    block[0], block[:, -1] = np.nan, np.nan
    _, n_observed, g = block_gradients(problem.parameters, block, problem.rows, problem.genes)
    assert not g.sample_embedding[0].any()
    assert not g.gene_embedding[-1].any()
    assert g.gene_loading is None or not g.gene_loading[-1].any()
    assert g.gene_bias is None or not g.gene_bias[-1].any()
    if n_observed == 0:
        assert not any(array.any() for array in g.arrays().values())


@given(problems(), generators)
def test_permuting_a_block_permutes_its_gradients(
    problem: Problem, rng: np.random.Generator
) -> None:
    p, x, rows, genes = problem.parameters, problem.expression, problem.rows, problem.genes
    row_order, gene_order = rng.permutation(rows.size), rng.permutation(genes.size)
    loss, _, plain = block_gradients(p, problem.block, rows, genes)
    rows, genes = rows[row_order], genes[gene_order]
    loss_after, _, permuted = block_gradients(p, x[np.ix_(rows, genes)], rows, genes)
    assert loss_after == pytest.approx(loss)
    expected = take_rows(plain, row_order, gene_order).arrays()
    for name, array in permuted.arrays().items():
        assert_allclose(array, expected[name], rtol=1e-9, atol=1e-11, err_msg=name)


def test_relu_has_no_slope_at_zero() -> None:
    p = random_parameters_of(np.random.default_rng(0), 2, 3, 1, 2, (4,), loading=False)
    first, last = p.layers()
    first.weight[:], first.bias[:], last.weight[:] = 0, 0, 1
    _, _, g = block_gradients(p, np.ones((2, 3)), *everything(p))
    assert not g.layers()[0].weight.any()
    assert not g.layers()[0].bias.any()
    assert not g.sample_embedding.any()
    assert not g.gene_embedding.any()
    assert g.layers()[1].bias.all()


# Adam


def test_adam_follows_a_sequence_worked_by_hand() -> None:
    # torch.optim.Adam([2.0], lr=0.1, weight_decay=0.5), gradients 1, -3. Worked out on paper:
    # g1 = 1 + 0.5*2 = 2: m = 0.2, s = 0.004; m_hat = 2, s_hat = 4; value = 2 - 0.1*2/2 = 1.9.
    # g2 = -3 + 0.5*1.9 = -2.05: m = 0.18 - 0.205 = -0.025, s = 0.003996 + 0.0042025 = 0.0081985;
    # m_hat = -0.025/0.19, s_hat = 0.0081985/0.001999.
    value, m, s = np.array([2.0]), np.zeros(1), np.zeros(1)
    adam_update(value, np.array([1.0]), m, s, np.array([1]), 0.1, 0.5)
    assert_allclose([value[0], m[0], s[0]], [1.9, 0.2, 0.004], rtol=1e-8)
    adam_update(value, np.array([-3.0]), m, s, np.array([2]), 0.1, 0.5)
    step = 0.1 * (-0.025 / 0.19) / np.sqrt(0.0081985 / 0.001999)
    assert_allclose([value[0], m[0], s[0]], [1.9 - step, -0.025, 0.0081985], rtol=1e-8)


@given(generators, st.integers(1, 30), st.sampled_from([0.0, 0.1]))
def test_adam_equals_the_formula_that_torch_publishes(
    rng: np.random.Generator, n_steps: int, weight_decay: float
) -> None:
    values = rng.normal(size=(3, 2))
    state = values.copy(), np.zeros((3, 2)), np.zeros((3, 2))
    gradients = rng.normal(size=(n_steps, 3, 2))
    for t, gradient in enumerate(gradients, start=1):
        adam_update(state[0], gradient, *state[1:], np.full(3, t), 1e-2, weight_decay)
    for place in np.ndindex(3, 2):
        value, m, s = values[place], 0.0, 0.0
        for t in range(1, n_steps + 1):  # single-tensor Adam: step_size / bias-corrected denom
            g = gradients[t - 1][place] + weight_decay * value
            m, s = m + (g - m) * (1 - 0.9), s * 0.999 + g * g * (1 - 0.999)
            denominator = s**0.5 / (1 - 0.999**t) ** 0.5 + 1e-8
            value -= 1e-2 / (1 - 0.9**t) * m / denominator
        assert state[0][place] == pytest.approx(value, rel=1e-10, abs=1e-12)


def test_each_row_has_its_own_bias_correction() -> None:
    # A gradient that never changes moves every row by the learning rate, whatever its count,
    # only if the row's own count corrects its moments.
    values, m, s = np.zeros((2, 3)), np.zeros((2, 3)), np.zeros((2, 3))
    gradient = np.full((2, 3), 7.0)
    for t in (1, 2, 3):
        one_row = slice(0, 1)
        adam_update(
            values[one_row], gradient[one_row], m[one_row], s[one_row], np.array([t]), 0.1, 0.0
        )
    adam_update(values, gradient, m, s, np.array([4, 1]), 0.1, 0.0)
    assert_allclose(values, [[-0.4] * 3, [-0.1] * 3], rtol=1e-6)


# Training

RATES = np.array([[5e-3, 1e-2, 5e-2]])


def start(p: Parameters) -> tuple[Parameters, tuple[Parameters, Parameters], Updates]:
    return p.copy(), (p.zeros_like(), p.zeros_like()), Updates.zeros(p)


def assert_same(one: Parameters, other: Parameters) -> None:
    for name, array in one.arrays().items():
        assert_array_equal(array, other.arrays()[name], err_msg=name)


@given(problems(), st.integers(1, 4), st.sampled_from([0.0, 1e-2]))
def test_lazy_equals_dense_when_a_block_is_everything(
    problem: Problem, n_steps: int, weight_decay: float
) -> None:
    states = []
    for lazy in (True, False):
        state = start(problem.parameters)
        todo = [everything(problem.parameters)] * n_steps
        rates = np.repeat(RATES, n_steps, axis=0)
        losses = train_blocks(*state, problem.expression, todo, rates, weight_decay, lazy)
        states.append((state, losses))
    (lazy_state, lazy_losses), (dense_state, dense_losses) = states
    assert_array_equal(lazy_losses, dense_losses)
    assert_same(lazy_state[0], dense_state[0])
    for lazy_moment, dense_moment in zip(lazy_state[1], dense_state[1], strict=True):
        assert_same(lazy_moment, dense_moment)
    observed = not np.isnan(problem.expression).all()
    for counts in (lazy_state[2], dense_state[2]):
        for count in (counts.samples, counts.genes, counts.network):
            assert (count == observed * n_steps).all()


@given(problems(), st.booleans(), st.sampled_from([0.0, 1e-2]))
def test_one_step_is_adam_on_the_gradients_with_each_groups_own_rate(
    problem: Problem, lazy: bool, weight_decay: float
) -> None:
    p, rows, genes = problem.parameters, problem.rows, problem.genes
    assume(not np.isnan(problem.block).all())
    after, moments, counts = start(p)
    losses = train_blocks(
        after, moments, counts, problem.expression, [(rows, genes)], RATES, weight_decay, lazy
    )
    loss, _, gradients = block_gradients(p, problem.block, rows, genes)
    assert losses.tolist() == [loss]
    network_rate, gene_rate, sample_rate = RATES[0]
    for name, gradient in gradients.arrays().items():
        rate = {"network": network_rate, "sample_embedding": sample_rate}.get(name, gene_rate)
        before = p.arrays()[name]
        n = before.shape[0]
        inside = {"network": np.arange(n), "sample_embedding": rows}.get(name, genes)
        outside = np.setdiff1d(np.arange(n), inside)
        # Adam's first step is rate * sign(g), up to epsilon; g includes the weight decay.
        g = weight_decay * before
        g[inside] += gradient
        if lazy:
            g[outside] = 0.0
        expected = before - rate * g / (np.abs(g) + 1e-8)
        # 1 - 0.999 and sqrt(s^2) round: allow for it where g is as small as epsilon
        assert_allclose(after.arrays()[name], expected, rtol=1e-7, atol=1e-9, err_msg=name)
        assert_allclose(moments[0].arrays()[name], 0.1 * g, atol=1e-12, err_msg=name)
        assert_allclose(moments[1].arrays()[name], 0.001 * g**2, atol=1e-12, err_msg=name)


@given(problems(max_samples=4, max_genes=8), st.booleans(), st.data())
def test_many_steps_are_adam_row_by_row_with_the_rows_own_history(
    problem: Problem, lazy: bool, data: st.DataObject
) -> None:
    p, x = problem.parameters, problem.expression
    todo = data.draw(st.lists(blocks(p.n_samples, p.n_genes), min_size=2, max_size=5))
    rates = np.repeat(RATES, len(todo), axis=0)
    trained, moments, counts = start(p)
    train_blocks(trained, moments, counts, x, todo, rates, 1e-2, lazy)
    # The same with one Adam, and one count, for every row of every array.
    history: dict[tuple[str, int], tuple[Float, Float, int]] = {}
    for rows, genes in todo:
        block = x[np.ix_(rows, genes)]
        if np.isnan(block).all():
            continue
        gradients = block_gradients(p, block, rows, genes)[2].arrays()
        for name, array in p.arrays().items():
            in_block = {"network": range(array.size), "sample_embedding": rows}.get(name, genes)
            gradient_of = dict(zip(map(int, in_block), gradients[name], strict=True))
            rate = {"network": RATES[0, 0], "sample_embedding": RATES[0, 2]}.get(name, RATES[0, 1])
            for row in gradient_of if lazy else range(array.shape[0]):
                zero = np.zeros_like(array[row : row + 1])
                m, s, t = history.get((name, row), (zero, zero.copy(), 0))
                gradient = zero + gradient_of.get(row, 0.0)
                adam_update(array[row : row + 1], gradient, m, s, np.array([t + 1]), rate, 1e-2)
                history[name, row] = m, s, t + 1
    for name, array in p.arrays().items():
        assert_allclose(trained.arrays()[name], array, rtol=1e-9, atol=1e-12, err_msg=name)


@given(problems(max_samples=5, max_genes=12), st.data())
def test_lazy_rows_outside_every_block_stay_and_counts_tell_the_visits(
    problem: Problem, data: st.DataObject
) -> None:
    p, x = problem.parameters, problem.expression
    todo = data.draw(st.lists(blocks(p.n_samples, p.n_genes), min_size=1, max_size=4))
    after, moments, counts = start(p)
    rates = np.repeat(RATES, len(todo), axis=0)
    train_blocks(after, moments, counts, x, todo, rates, 1e-2, True)
    seen = [(rows, genes) for rows, genes in todo if not np.isnan(x[np.ix_(rows, genes)]).all()]
    visits_i = sum((np.isin(np.arange(p.n_samples), rows) for rows, _ in seen), np.zeros(1, int))
    visits_j = sum((np.isin(np.arange(p.n_genes), genes) for _, genes in seen), np.zeros(1, int))
    assert (counts.samples == visits_i).all()
    assert (counts.genes == visits_j).all()
    assert counts.network.tolist() == [len(seen)]
    for name, before in p.arrays().items():
        if name != "network":
            unseen = (counts.samples if name == "sample_embedding" else counts.genes) == 0
            assert_array_equal(after.arrays()[name][unseen], before[unseen], err_msg=name)
            assert not moments[0].arrays()[name][unseen].any()


def test_dense_rows_outside_a_block_decay_and_coast_on_their_moments() -> None:
    p = random_parameters_of(np.random.default_rng(1), 2, 3, 2, 2, (5,))
    state = start(p)
    genes = np.arange(3)
    todo = [(np.array([0]), genes), (np.array([1]), genes)]
    x = np.random.default_rng(2).normal(size=(2, 3))
    train_blocks(*state, x, todo[:1], RATES, 0.0, False)
    after_one, first = state[0].copy(), state[1][0].copy()
    train_blocks(*state, x, todo[1:], RATES, 0.0, False)
    # sample 0 was not in the second block: its moment shrinks by beta1 and still moves it
    assert_allclose(state[1][0].sample_embedding[0], 0.9 * first.sample_embedding[0])
    assert (state[0].sample_embedding[0] != after_one.sample_embedding[0]).all()
    # sample 1 had no gradient in the first step and no weight decay: it had not moved
    assert_array_equal(after_one.sample_embedding[1], p.sample_embedding[1])
    assert state[2].samples.tolist() == [2, 2]
    assert state[2].network.tolist() == [2]


@given(parameters(), st.booleans())
def test_a_block_without_observed_entries_changes_nothing(p: Parameters, lazy: bool) -> None:
    state = start(p)
    x = np.full((p.n_samples, p.n_genes), np.nan)
    losses = train_blocks(*state, x, [everything(p)], RATES, 0.1, lazy)
    assert losses.tolist() == [0.0]
    assert_same(state[0], p)
    assert not any(c.any() for c in (state[2].samples, state[2].genes, state[2].network))


def test_training_in_two_calls_is_training_in_one() -> None:
    rng = np.random.default_rng(3)
    p = random_parameters_of(rng, 6, 9, 2, 3, (7, 5))
    x = rng.normal(size=(6, 9))
    todo = [(rng.permutation(6)[:3], rng.permutation(9)[:4]) for _ in range(8)]
    rates = rng.uniform(1e-3, 1e-2, size=(8, 3))
    for lazy in (True, False):
        once, twice = start(p), start(p)
        train_blocks(*once, x, todo, rates, 1e-4, lazy)
        train_blocks(*twice, x, todo[:5], rates[:5], 1e-4, lazy)
        train_blocks(*twice, x, todo[5:], rates[5:], 1e-4, lazy)
        assert_same(once[0], twice[0])


# One new sample


@given(parameters(), generators)
def test_jacobian_is_the_central_difference_of_the_prediction(
    p: Parameters, rng: np.random.Generator
) -> None:
    genes = rng.permutation(p.n_genes)
    u, direction = rng.normal(size=(2, p.n_components))
    x_hat, slope = jacobian(p, u, genes)
    assert slope.shape == (p.n_genes, p.n_components)
    alone = replace(p, sample_embedding=u[None, :])
    assert_allclose(x_hat, forward(alone, np.array([0]), genes)[0], rtol=1e-12)
    up, down = u + H * direction, u - H * direction
    assume(same_pattern(relu_pattern(p, up[None, :], genes), relu_pattern(p, down[None, :], genes)))
    difference = (jacobian(p, up, genes)[0] - jacobian(p, down, genes)[0]) / (2 * H)
    size = 1 + float(np.abs(x_hat).max())
    assert_allclose(slope @ direction, difference, rtol=1e-6, atol=1e-7 * size)


@given(parameters(max_samples=1), generators, st.data())
def test_the_cost_is_minus_twice_the_log_density(
    p: Parameters, rng: np.random.Generator, data: st.DataObject
) -> None:
    profile = data.draw(expressions(1, p.n_genes))[0]
    likelihood = data.draw(likelihoods(p.n_genes, p.n_components))
    seen = np.flatnonzero(~np.isnan(profile))
    covariance = np.diag(
        np.ones(seen.size) if likelihood.weight is None else 1.0 / likelihood.weight[seen]
    )
    if likelihood.factors is not None:
        factors = likelihood.factors[seen].astype(np.float64)
        covariance = covariance + factors @ factors.T

    def density(u: Float) -> float:
        found = 0.0
        if seen.size:
            mean = jacobian(p, u, seen)[0]
            found += multivariate_normal.logpdf(profile[seen], mean, covariance)
        if likelihood.precision is not None:
            prior = np.linalg.inv(likelihood.precision)
            found += multivariate_normal.logpdf(u, likelihood.mean, prior)
        return found

    u, other = rng.normal(size=(2, p.n_components))
    here, there = (cost(p, profile, at, likelihood)[0] for at in (u, other))
    assert here - there == pytest.approx(
        2.0 * (density(other) - density(u)), rel=1e-6, abs=1e-6 * (1 + here + there)
    )


@given(problems(counts=None, max_samples=1), generators, st.data())
def test_the_gradient_of_the_cost_is_its_central_difference(
    problem: Problem, rng: np.random.Generator, data: st.DataObject
) -> None:
    p, profile, counts = problem.parameters, problem.expression[0], problem.counts
    likelihood = data.draw(likelihoods(p.n_genes, p.n_components, counts))
    genes = np.arange(p.n_genes)
    u, direction = rng.normal(size=(2, p.n_components))
    up, down = u + H * direction, u - H * direction
    assume(same_pattern(relu_pattern(p, up[None, :], genes), relu_pattern(p, down[None, :], genes)))
    here, gradient, curvature = cost(p, profile, u, likelihood)
    above, below = (cost(p, profile, at, likelihood)[0] for at in (up, down))
    difference = (above - below) / (2 * H)
    # Downhill, and half of it.
    rounding = 1e-6 * (1 + here)
    if counts is not None:  # a count's deviance is the difference of two numbers of its size
        rounding += 1e-14 / H * float(np.nansum(profile))
    assert -2.0 * gradient @ direction == pytest.approx(difference, rel=1e-5, abs=rounding)
    if counts is not None:
        return
    # Between kinks the prediction is linear in u, and the cost is a parabola.
    bend = (above - 2 * here + below) / H**2
    size = 1 + here / H**2 * 1e-15 * 1e4
    assert 2.0 * direction @ curvature @ direction == pytest.approx(bend, rel=1e-4, abs=size)


@given(parameters(max_samples=1), generators, st.data())
def test_solving_never_raises_the_cost_and_reports_its_own_point(
    p: Parameters, rng: np.random.Generator, data: st.DataObject
) -> None:
    profile = data.draw(expressions(1, p.n_genes))
    likelihood = data.draw(
        st.one_of(st.just(LEAST_SQUARES), likelihoods(p.n_genes, p.n_components))
    )
    at = rng.normal(size=p.n_components)
    before = cost(p, profile[0], at, likelihood)[0]
    u, found, curvature = solve_sample(p, profile[0], at, likelihood)
    after, _, there = cost(p, profile[0], u, likelihood)
    assert found <= before
    assert found == after
    assert_array_equal(curvature, there)
    if likelihood is LEAST_SQUARES:
        here, gene_all = np.array([0]), np.arange(p.n_genes)
        alone = replace(p, sample_embedding=u[None])
        loss, n_observed = block_loss(alone, profile, here, gene_all)
        assert found == pytest.approx(loss * n_observed, rel=1e-9, abs=1e-12)
        if n_observed == 0:
            assert_array_equal(u, at)


@given(generators, st.integers(1, 5), st.sampled_from([(17,), (16, 9), (12, 10, 8, 8)]))
def test_solving_recovers_a_decoded_point_from_nearby(
    rng: np.random.Generator, n_components: int, hidden: tuple[int, ...]
) -> None:
    p = random_parameters_of(rng, 1, 40, n_components, 3, hidden)
    truth = p.sample_embedding[0]
    profile = forward(p, np.array([0]), np.arange(40))[0]
    profile[rng.permutation(40)[:10]] = np.nan
    _, slope = jacobian(p, truth, np.flatnonzero(~np.isnan(profile)))
    assume(np.linalg.cond(slope) < 30)
    u, squares, _ = solve_sample(p, profile, truth + 1e-3 * rng.normal(size=n_components))
    assert_allclose(u, truth, atol=1e-7)
    assert squares < 1e-12


@given(generators, st.integers(1, 5), st.integers(0, 20), st.data())
def test_solving_a_linear_model_is_generalised_least_squares(
    rng: np.random.Generator, n_components: int, n_missing: int, data: st.DataObject
) -> None:
    p = random_parameters_of(rng, 1, 40, n_components, 2, (3,), bias=False)
    p.network[:] = 0
    assert p.gene_loading is not None
    likelihood = data.draw(likelihoods(40, n_components))
    profile = rng.normal(size=40)
    profile[rng.permutation(40)[:n_missing]] = np.nan
    seen = ~np.isnan(profile)
    loading = p.gene_loading[seen]
    assume(np.linalg.cond(loading) < 30)
    covariance = np.eye(seen.sum())
    if likelihood.weight is not None:
        covariance /= likelihood.weight[seen].astype(np.float64)
    if likelihood.factors is not None:
        factors = likelihood.factors[seen].astype(np.float64)
        covariance += factors @ factors.T
    inverse = np.linalg.inv(covariance)
    normal, right = loading.T @ inverse @ loading, loading.T @ inverse @ profile[seen]
    if likelihood.precision is not None and likelihood.mean is not None:
        normal, right = (
            normal + likelihood.precision,
            right + likelihood.precision @ likelihood.mean,
        )
    u, _, curvature = solve_sample(p, profile, rng.normal(size=n_components), likelihood)
    assert_allclose(u, np.linalg.solve(normal, right), atol=1e-6)
    assert_allclose(curvature, normal, rtol=1e-6, atol=1e-9)
