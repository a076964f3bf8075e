"""Whether the engine that is chosen computes what the oracle and the native engine do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.blockstep import HIDDEN
from benchmarks.report import Bar, Report
from benchmarks.simulate import simulated_expression
from benchmarks.timing import timed
from fembed import FitConfig, engine
from fembed._reference.loss import block_gradients
from fembed._reference.placement import cost
from fembed.engine import AdamState, Blocks
from fembed.likelihood import LEAST_SQUARES, Counts, Likelihood
from fembed.parameters import Parameters, network_size
from fembed.train.blocks import BlockStream
from fembed.train.initialization import random_initialization, spectral_initialization
from fembed.train.units import standardise

Float32 = NDArray[np.float32]

ROUNDING_BAR, CURVE_BAR = Bar("<=", 1e-4), Bar("<=", 0.1)
N_STEPS, WINDOW = 1000, 50
N_SAMPLES, N_GENES = 40, 300


def with_the_oracle(report: Report, seed: int) -> None:
    """Gradients and costs, beside double precision."""
    rng = np.random.default_rng(seed)
    p = _random_model(rng)
    x = rng.normal(size=(N_SAMPLES, N_GENES)).astype(np.float32)
    x[rng.random(x.shape) < 0.1] = np.nan
    counted = np.floor(np.exp(x)).astype(np.float32)  # NaN where x is
    sizes, dispersion = rng.uniform(0.5, 2, N_SAMPLES), rng.uniform(0, 1, N_GENES)
    counts = Counts.of_samples(sizes, dispersion)
    block = rng.permutation(N_SAMPLES)[:30], rng.permutation(N_GENES)[:200]
    for name, values, known in (("values", x, None), ("counts", counted, counts)):
        _, _, expected = block_gradients(p, values[np.ix_(*block)], *block, known)
        _, _, found = engine.gradients(p, values, *block, counts=known)
        gap = max(
            float(np.linalg.norm(array - expected.arrays()[key]))
            / float(np.linalg.norm(expected.arrays()[key]))
            for key, array in found.arrays().items()
        )
        note = "largest relative error of a gradient"
        report.add(f"gradients of {name}", gap, ROUNDING_BAR, digits=7, note=note)
    shared = Likelihood(
        weight=rng.uniform(0.5, 2, N_GENES).astype(np.float32),
        factors=rng.normal(size=(N_GENES, 4)).astype(np.float32) * np.float32(0.3),
        mean=np.zeros(2),
        precision=np.eye(2),
    )
    starts = p.sample_embedding[:, None, :] + np.float32(0.1)
    for name, values, likelihood in (
        ("least squares", x, LEAST_SQUARES),
        ("weights, factors and prior", x, shared),
        ("counts", counted, Likelihood(counts=counts)),
    ):
        solved = engine.solve(p, values, starts, likelihood=likelihood)
        gap = max(
            abs(solved.cost[i] / cost(p, values[i], u, likelihood.take_profiles([i]))[0] - 1)
            for i, u in enumerate(solved.u.astype(np.float64))
        )
        note = "largest relative error of a cost"
        report.add(f"places under {name}", gap, ROUNDING_BAR, digits=7, note=note)


def _random_model(rng: np.random.Generator) -> Parameters:
    def normal(*shape: int) -> Float32:
        return rng.standard_normal(shape, dtype=np.float32)

    return Parameters(
        sample_embedding=normal(N_SAMPLES, 2),
        gene_embedding=normal(N_GENES, 50),
        network=normal(network_size(2, 50, HIDDEN)) * np.float32(0.1),
        hidden=HIDDEN,
        gene_loading=normal(N_GENES, 2) * np.float32(0.3),
        gene_bias=normal(N_GENES) * np.float32(0.3),
    )


@dataclass(frozen=True)
class Run:
    """The same steps for every engine."""

    start: Parameters
    values: Float32
    todo: Blocks
    rates: Float32
    lazy: bool

    def losses(self, threads: int, isa: str = "") -> NDArray[np.float64]:
        """Of each step, on the engine that is chosen."""
        p = self.start.copy()
        state = AdamState.zeros(p)
        return engine.train(
            p,
            state,
            self.values,
            self.todo,
            self.rates,
            lazy=self.lazy,
            n_threads=threads,
            isa=isa,
        )[0]


def published_run() -> Run:
    """Four whole profiles a step, from a random start."""
    values = simulated_expression(400, 1_000)
    start = random_initialization(FitConfig(recipe="published"), *values.shape)
    todo = BlockStream(np.arange(400), 1_000, 4, 1_000, seed=0).take(N_STEPS)
    return Run(start, values, todo, np.full((N_STEPS, 3), 5e-3, np.float32), lazy=False)


def fast_run() -> Run:
    """Blocks of 32 x 128 from principal components, with a warm-up."""
    values = simulated_expression(400, 600, noise=1.0)
    standardise(values)
    start, _ = spectral_initialization(values, FitConfig(n_threads=1), np.arange(400))
    todo = BlockStream(np.arange(400), 600, 32, 128, seed=0).take(N_STEPS)
    warm = np.minimum(1.0, np.arange(N_STEPS) / 500)
    rates = np.outer(warm, [5e-3, 5e-3, 1.5e-3]).astype(np.float32)
    return Run(start, values, todo, rates, lazy=True)


def of_curves(report: Report, threads: int) -> None:
    """The losses of a thousand steps, beside those of the native engine.

    Rounding grows in training. How much, the native engine itself shows, by two instruction sets.
    """
    for name, run in (("published", published_run()), ("fast", fast_run())):
        with timed() as clock:
            ours = run.losses(threads)
        with engine.using("native"):
            with timed() as native_clock:
                native = run.losses(threads)
            other = run.losses(threads, isa=engine.ISAS[1]) if engine.ISAS[1:] else native
        report.measures[f"curve, {name}"] = {"here": ours.tolist(), "native": native.tolist()}
        report.add(
            f"{N_STEPS:,} steps, {name} recipe: mean loss / native",
            _mean_gap(ours, native),
            CURVE_BAR if name == "published" else None,
            unit="%",
            digits=3,
            note=f"apart; means of {WINDOW} steps {_window_gap(ours, native):.2f} %. Two kernels "
            f"of native: {_mean_gap(other, native):.3f} % and {_window_gap(other, native):.2f} %. "
            f"{clock.seconds:.1f} s, native {native_clock.seconds:.1f} s",
        )


def _mean_gap(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    return 100 * abs(float(one.mean() / other.mean()) - 1)


def _window_gap(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    means = [losses.reshape(-1, WINDOW).mean(axis=1) for losses in (one, other)]
    return 100 * float(np.abs(means[0] / means[1] - 1).max())
