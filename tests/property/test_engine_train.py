"""Facts about the engine's training: the reference's steps, whatever the kernel and threads."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from fembed import engine
from fembed._reference.loss import block_gradients, pair_losses
from fembed._reference.network import forward
from fembed._reference.training import Updates, train_blocks
from fembed.engine import AdamState, Blocks
from fembed.likelihood import Counts
from fembed.parameters import Parameters
from tests.property.engine_problems import (
    engine_parameters,
    engine_problems,
    examples,
    near_kink,
    pairs_of,
    rounding,
    runs,
    thread_numbers,
)
from tests.property.kernels import KERNELS, NATIVE, Kernel, float32_kernels, native_kernels
from tests.property.strategies import Float, Problem, blocks, generators

decays = st.sampled_from([0.0, 0.1])


def state_on_the_way(rng: np.random.Generator, problem: Problem) -> AdamState:
    """Moments of the gradients' own size, and a count of its own for every row.

    From moments of zero Adam's first steps divide a gradient by its own size, which turns the
    rounding of a tiny gradient into a whole step; from here a step is smooth in the gradient.
    """
    p, state = problem.parameters, AdamState.zeros(problem.parameters)
    _, _, gradients = block_gradients(p, problem.block, problem.rows, problem.genes, problem.counts)
    for name, gradient in gradients.arrays().items():
        size = float(np.sqrt(np.mean(gradient**2))) + 1e-3
        first, second = state.first.arrays()[name], state.second.arrays()[name]
        first[...] = size * rng.normal(size=first.shape)
        second[...] = size**2 * rng.uniform(0.5, 2, size=second.shape)
    for count in (state.sample_count, state.gene_count, state.network_count):
        count[...] = rng.integers(0, 100, size=count.shape)
    return state


def trained(
    p: Parameters,
    state: AdamState,
    expression: Float,
    run: tuple[Blocks, Float],
    *,
    counts: Counts | None = None,
    n_threads: int = 1,
    weight_decay: float = 0.0,
    lazy: bool = True,
    kernel: Kernel = NATIVE[0],
) -> tuple[Parameters, AdamState, Float]:
    """Copies after the run, and the losses of its steps."""
    p, state = p.copy(), deepcopy(state)
    losses, _ = kernel.run(
        engine.train,
        p,
        state,
        expression,
        *run,
        counts=counts,
        weight_decay=weight_decay,
        lazy=lazy,
        n_threads=n_threads,
    )
    return p, state, losses


def assert_same(
    one: tuple[Parameters, AdamState, Float], other: tuple[Parameters, AdamState, Float]
) -> None:
    assert_array_equal(one[2], other[2])
    for part, expected in ((one[0], other[0]), (one[1], other[1])):
        for name, array in part.arrays().items():
            assert_array_equal(array, expected.arrays()[name], err_msg=name)


@examples(50)
@given(
    engine_problems(counts=None, max_samples=14, max_genes=48, most_width=24),
    st.data(),
    st.booleans(),
    decays,
    thread_numbers,
)
def test_training_is_the_references(
    problem: Problem, data: st.DataObject, lazy: bool, weight_decay: float, n_threads: int
) -> None:
    p, x = problem.parameters, problem.expression.copy()
    x[near_kink(p, p.sample_embedding, np.arange(p.n_genes))] = np.nan
    start = state_on_the_way(data.draw(generators), replace(problem, expression=x))
    run = data.draw(runs(p, max_steps=4))
    todo = pairs_of(run[0])

    expected = p.astype(np.float64)
    moments = start.first.astype(np.float64), start.second.astype(np.float64)
    updates = Updates(
        *(c.copy() for c in (start.sample_count, start.gene_count, start.network_count))
    )
    expected_losses = train_blocks(
        expected,
        moments,
        updates,
        x,
        todo,
        run[1].astype(np.float64),
        weight_decay,
        lazy,
        problem.counts,
    )
    # Of a count of 10^5 that is predicted well, float32 knows hardly a digit of the slope.
    assume(all(has_slopes(replace(problem, expression=x, rows=r, genes=g)) for r, g in todo))
    roundings = [
        rounding(replace(problem, expression=x, rows=rows, genes=genes)).loss.sum()
        / max(1, (~np.isnan(x[np.ix_(rows, genes)])).sum())
        for rows, genes in todo
    ]
    for kernel in KERNELS:
        after, state, losses = trained(
            p,
            start,
            x,
            run,
            counts=problem.counts,
            n_threads=n_threads,
            weight_decay=weight_decay,
            lazy=lazy,
            kernel=kernel,
        )
        for loss, goal, rounded in zip(losses, expected_losses, roundings, strict=True):
            assert abs(loss - goal) <= 1e-5 * goal + 2 * rounded, kernel
        assert_array_equal(state.sample_count, updates.samples)
        assert_array_equal(state.gene_count, updates.genes)
        assert_array_equal(state.network_count, updates.network)
        for name, before in p.arrays().items():
            where = f"{kernel} {name}"
            for found, goal, old in (
                (after, expected, before),
                (state.first, moments[0], start.first.arrays()[name]),
                (state.second, moments[1], start.second.arrays()[name]),
            ):
                assert_moved_alike(found.arrays()[name], goal.arrays()[name], old, where)
        unseen = updates.samples == start.sample_count
        assert_array_equal(after.sample_embedding[unseen], p.sample_embedding[unseen])
        unseen = updates.genes == start.gene_count
        for name in ("gene_embedding", "gene_loading", "gene_bias"):
            if name in p.arrays():
                for now, then in ((after, p), (state.first, start.first)):
                    old = then.arrays()[name][unseen]
                    assert_array_equal(now.arrays()[name][unseen], old, err_msg=name)


def has_slopes(problem: Problem) -> bool:
    """Whether the slopes of a block are far above their rounding."""
    x_hat = forward(problem.parameters, problem.rows, problem.genes)
    block = problem.block, problem.rows, problem.genes, problem.counts
    _, slopes, _ = pair_losses(x_hat, *block)
    return float(rounding(problem).slope.sum()) <= 1e-4 * float(np.abs(slopes).sum())


def assert_moved_alike(found: Float, expected: Float, before: Float, where: str) -> None:
    moved = float(np.abs(expected - before).max())
    rounding = 1e-6 * float(np.abs(expected).max())
    assert float(np.abs(found - expected).max()) <= 2e-3 * moved + rounding, where


@examples(30)
@given(engine_problems(counts=None), st.data(), st.booleans(), native_kernels)
def test_the_number_of_threads_changes_no_bit(
    problem: Problem, data: st.DataObject, lazy: bool, kernel: Kernel
) -> None:
    p = problem.parameters
    start, run = AdamState.zeros(p), data.draw(runs(p, max_steps=3))
    one, two, three = (
        trained(
            p,
            start,
            problem.expression,
            run,
            counts=problem.counts,
            n_threads=number,
            weight_decay=0.1,
            lazy=lazy,
            kernel=kernel,
        )
        for number in (1, 2, 3)
    )
    assert_same(two, one)
    assert_same(three, one)


@examples(20)
@given(engine_problems(), st.booleans(), thread_numbers, float32_kernels)
def test_the_first_step_is_the_learning_rate_against_the_gradients_sign(
    problem: Problem, lazy: bool, n_threads: int, kernel: Kernel
) -> None:
    p, rows, genes = problem.parameters, problem.rows, problem.genes
    rates = np.array([[1e-3, 1e-2, 1e-1]], np.float32)
    run = Blocks.of([(rows, genes)]), rates
    after, state, losses = trained(
        p,
        AdamState.zeros(p),
        problem.expression,
        run,
        n_threads=n_threads,
        lazy=lazy,
        kernel=kernel,
    )
    loss, _, gradients = kernel.run(
        engine.gradients, p, problem.expression, rows, genes, n_threads=1
    )
    assert losses.tolist() == [loss]
    for name, gradient in gradients.arrays().items():
        rate = {"network": rates[0, 0], "sample_embedding": rates[0, 2]}.get(name, rates[0, 1])
        at = {"network": np.arange(p.network.size), "sample_embedding": rows}.get(name, genes)
        step = p.arrays()[name][at] - after.arrays()[name][at]
        clear = np.abs(gradient) > 1e-5  # far above epsilon
        np.testing.assert_allclose(
            step[clear], (rate * np.sign(gradient))[clear], rtol=2e-3, atol=1e-6, err_msg=name
        )
        np.testing.assert_allclose(
            state.first.arrays()[name][at], 0.1 * gradient, rtol=1e-6, err_msg=name
        )


@examples(20)
@given(engine_parameters(max_samples=20), generators, st.booleans(), decays, float32_kernels)
def test_a_block_without_observed_entries_changes_nothing(
    p: Parameters, rng: np.random.Generator, lazy: bool, weight_decay: float, kernel: Kernel
) -> None:
    x = np.full((p.n_samples, p.n_genes), np.nan, np.float32)
    everything = np.arange(p.n_samples), np.arange(p.n_genes)
    start = state_on_the_way(rng, Problem(p, x, *everything))
    after, state = p.copy(), deepcopy(start)
    losses, n_observed = kernel.run(
        engine.train,
        after,
        state,
        x,
        Blocks.of([everything]),
        np.full((1, 3), 0.1, np.float32),
        weight_decay=weight_decay,
        lazy=lazy,
    )
    assert losses.tolist() == [0.0]
    assert n_observed.tolist() == [0]
    assert_same((after, state, losses), (p, start, losses))


@examples(20)
@given(engine_problems(max_samples=20), st.data(), st.booleans(), float32_kernels)
def test_an_unobserved_block_within_a_run_is_as_if_it_were_left_out(
    problem: Problem, data: st.DataObject, lazy: bool, kernel: Kernel
) -> None:
    p, x = problem.parameters, problem.expression.copy()
    x[0] = np.nan
    a, b = data.draw(blocks(p.n_samples, p.n_genes)), data.draw(blocks(p.n_samples, p.n_genes))
    rates = np.array([[1e-3, 2e-3, 3e-3], [1, 1, 1], [3e-3, 1e-3, 2e-3]], np.float32)
    hole = np.array([0]), problem.genes
    with_hole, without = (Blocks.of([a, hole, b]), rates), (Blocks.of([a, b]), rates[::2].copy())
    start = AdamState.zeros(p)
    one = trained(p, start, x, with_hole, lazy=lazy, weight_decay=0.1, kernel=kernel)
    other = trained(p, start, x, without, lazy=lazy, weight_decay=0.1, kernel=kernel)
    assert one[2][1] == 0.0
    assert_same((*one[:2], one[2][::2]), other)


@examples(20)
@given(engine_problems(), st.data(), st.booleans(), float32_kernels)
def test_training_in_two_calls_is_training_in_one(
    problem: Problem, data: st.DataObject, lazy: bool, kernel: Kernel
) -> None:
    p, x = problem.parameters, problem.expression
    run, rates = data.draw(runs(p, max_steps=3))
    once = trained(p, AdamState.zeros(p), x, (run, rates), lazy=lazy, kernel=kernel)
    now, state, losses = p, AdamState.zeros(p), []
    for step, block in enumerate(pairs_of(run)):
        part = Blocks.of([block]), rates[step : step + 1]
        now, state, loss = trained(now, state, x, part, lazy=lazy, kernel=kernel)
        losses.append(loss)
    assert_same((now, state, np.concatenate(losses)), once)


@examples(20)
@given(engine_problems(counts=None), st.data(), st.booleans(), float32_kernels)
def test_permuting_the_samples_permutes_their_embeddings(
    problem: Problem, data: st.DataObject, lazy: bool, kernel: Kernel
) -> None:
    p, x = problem.parameters, problem.expression
    run, rates = data.draw(runs(p, max_steps=3))
    counts = problem.counts
    plain, state, losses = trained(
        p, AdamState.zeros(p), x, (run, rates), counts=counts, lazy=lazy, kernel=kernel
    )
    order = data.draw(generators).permutation(p.n_samples)  # new row i is old row order[i]
    moved = replace(p, sample_embedding=p.sample_embedding[order])
    place = np.argsort(order).astype(np.int32)
    found = trained(
        moved,
        AdamState.zeros(p),
        x[order],
        (replace(run, samples=place[run.samples]), rates),
        counts=None if counts is None else counts.take_rows(order),
        lazy=lazy,
        kernel=kernel,
    )
    for part in (state.first, state.second, plain):
        part.sample_embedding = part.sample_embedding[order]
    assert_same(found, (plain, replace(state, sample_count=state.sample_count[order]), losses))
