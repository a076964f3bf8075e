"""Float32 problems for the native engine: shapes that cross every panel border, and kinks.

The engine works on panels of 2, 8, 16 or 32 pairs (scalar, SSE2 and NEON, AVX2, AVX-512), and on
registers of 5 or 10 rows; sizes on both sides of these borders are drawn often.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from fembed._reference.counts import count_terms
from fembed._reference.loss import offset_and_dispersion
from fembed._reference.network import forward, pre_activations
from fembed.engine import Blocks
from fembed.likelihood import LOG_MEAN_LIMITS
from fembed.parameters import Parameters, layer_shapes
from tests.property.strategies import (
    Float,
    Index,
    Problem,
    blocks,
    counted,
    expressions,
    generators,
    random_parameters,
)

#: Hidden widths of the published architecture.
PUBLISHED = (250, 75, 50, 25, 10)

thread_numbers = st.integers(1, 4)
widths = st.one_of(
    st.integers(1, 120), st.sampled_from([1, 3, 4, 5, 8, 9, 10, 11, 15, 16, 17, 31, 32, 33, 64])
)
gene_numbers = st.one_of(
    st.integers(1, 150), st.sampled_from([1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 96])
)
component_numbers = st.one_of(st.integers(1, 20), st.sampled_from([1, 2, 4, 8, 16, 17]))
gene_component_numbers = st.one_of(st.integers(1, 40), st.sampled_from([1, 8, 16, 17, 32, 33]))


def examples(number: int) -> settings:
    """So many examples, however long each takes."""
    return settings(max_examples=number, deadline=None)


def to_float32(p: Parameters) -> Parameters:
    """A copy in the engine's precision."""
    return p.astype(np.float32)


@st.composite
def engine_parameters(
    draw: st.DrawFn,
    *,
    max_samples: int = 70,
    max_genes: int = 150,
    most_width: int = 120,
    exact: bool = False,
) -> Parameters:
    """Float32 parameters of any shape; ``exact``: small whole numbers, see `whole_numbers`."""
    some_widths = widths.filter(lambda width: width <= most_width)
    shape: dict[str, Any] = {
        "n_samples": draw(st.integers(1, max_samples)),
        "n_genes": draw(gene_numbers.filter(lambda size: size <= max_genes)),
        "n_components": draw(component_numbers),
        "gene_components": draw(gene_component_numbers),
        "hidden": tuple(draw(st.lists(some_widths, min_size=1, max_size=5))),
        "loading": draw(st.booleans()),
        "bias": draw(st.booleans()),
    }
    rng = draw(generators)
    p = random_parameters(rng, **shape)
    return to_float32(whole_numbers(rng, p) if exact else p)


def whole_numbers(rng: np.random.Generator, p: Parameters) -> Parameters:
    """Parameters from {-1, 0, 1}, with few weights a unit: the engine's sums are then exact.

    Whole numbers below 2^24 are exact in float32 whatever the order of the sum, and a
    pre-activation of exactly 0, which is common here, has slope 0 in the engine as on paper.
    """
    p = p.map(lambda array: rng.integers(-1, 2, size=array.shape).astype(np.float64))
    shapes = layer_shapes(p.n_components, p.gene_components, p.hidden)
    for layer, (n_out, n_in) in zip(p.layers(), shapes, strict=True):
        kept = rng.random((n_out, n_in)) < 3 / n_in
        layer.weight[:] *= kept
    return p


@st.composite
def engine_problems(draw: st.DrawFn, /, counts: bool | None = False, **limits: Any) -> Problem:
    """Float32 parameters, a masked matrix and one block of it.

    The matrix holds measured values or ``counts`` (None: either).
    """
    p = draw(engine_parameters(**limits))
    rows, genes = draw(blocks(p.n_samples, p.n_genes))
    expression = draw(expressions(p.n_samples, p.n_genes))
    if limits.get("exact"):
        expression = np.round(2 * expression)
    problem = Problem(p, expression.astype(np.float32), rows, genes)
    with_counts = draw(st.booleans()) if counts is None else counts
    return draw(counted(problem)) if with_counts else problem


@st.composite
def runs(draw: st.DrawFn, p: Parameters, max_steps: int) -> tuple[Blocks, Float]:
    """Random blocks, and learning rates that differ between groups and steps."""
    todo = draw(st.lists(blocks(p.n_samples, p.n_genes), min_size=1, max_size=max_steps))
    rates = draw(generators).uniform([0.5, 2, 5], [1, 4, 10], size=(len(todo), 3))
    return Blocks.of(todo), (1e-3 * rates).astype(np.float32)


def pairs_of(blocks: Blocks) -> list[tuple[Index, Index]]:
    """(rows, genes) of each block, as the reference wants them."""
    rows = np.split(blocks.samples.astype(np.int64), blocks.sample_offset[1:-1])
    genes = np.split(blocks.genes.astype(np.int64), blocks.gene_offset[1:-1])
    return list(zip(rows, genes, strict=True))


def near_kink(p: Parameters, samples: Float, genes: Index, share: float = 1e-5) -> Any:
    """Pairs (m x g, bool) with a hidden unit so near zero that rounding may open or shut it."""
    near = np.zeros((len(samples), len(genes)), dtype=bool)
    for z in pre_activations(p.astype(np.float64), samples.astype(np.float64), genes)[:-1]:
        near |= (np.abs(z) < share * np.abs(z).max(initial=1.0)).any(axis=-1)
    return near


def rounding_size(p: Parameters, points: Float, genes: Index) -> float:
    """The largest number in the forward pass, which float32's rounding is in proportion to."""
    p, points = p.astype(np.float64), points.astype(np.float64)
    layers = pre_activations(p, points, genes)
    size = 1.0 + max(float(np.abs(z).max(initial=0.0)) for z in layers)
    if p.gene_loading is not None:
        size += float((np.abs(points) @ np.abs(p.gene_loading).T).max())
    return size


@dataclass(frozen=True)
class Rounding:
    """What float32 may make of the terms of a block, m x g, from the rounding of its predictions.

    Attributes
    ----------
    loss : array
        Of each pair's loss.
    slope : array
        Of half of its derivative.
    """

    loss: Float
    slope: Float


def rounding(problem: Problem) -> Rounding:
    """Of measured values a slope is rounded as its prediction is, of counts by their curvature."""
    p, rows, genes, x = problem.parameters, problem.rows, problem.genes, problem.block
    observed = ~np.isnan(x)
    error = np.full(x.shape, 2e-6 * rounding_size(p, p.sample_embedding[rows], genes))
    x_hat = forward(p, rows, genes)
    if problem.counts is None:
        slope, bend = np.where(observed, x_hat - x, 0.0), np.ones(x.shape)
    else:
        offset, dispersion = offset_and_dispersion(problem.counts, rows, genes)
        log_mean = np.clip(x_hat + offset, *LOG_MEAN_LIMITS)
        terms = count_terms(x, log_mean, dispersion)
        slope = terms.slope
        bend = terms.weight * (1 + dispersion * x) / (1 + dispersion * np.exp(log_mean))
        # Offset and logarithm of the count are rounded, too; 1e-6 is the formulas' own.
        error += 2e-7 * (np.abs(offset) + 20)
        bend += 1e-6 / error * np.abs(slope)
    bend = np.where(observed, bend, 0.0)
    return Rounding(2 * np.abs(slope) * error + bend * error**2, bend * error)


def loss_rounding(loss: float, size: float) -> float:
    """What float32 may make of a mean of squares, each of a difference of numbers of ``size``."""
    residual = 2e-6 * size
    return 1e-5 * loss + 2 * float(np.sqrt(loss)) * residual + residual**2
