"""Hypothesis strategies: random parameters, masks, blocks; small sizes, odd widths, every recipe.

Hypothesis chooses the shapes, the mask's kind and a seed; the numbers come from the seed, so that
a draw is quick and values are of an ordinary size (activations of about 1 at any depth).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from fembed._reference.loss import offset_and_dispersion
from fembed._reference.network import forward
from fembed.likelihood import Counts, Likelihood
from fembed.parameters import Parameters

Float = NDArray[np.floating[Any]]
Index = NDArray[np.int64]

generators = st.integers(0, 2**32 - 1).map(np.random.default_rng)
hidden_widths = st.lists(st.integers(1, 17), min_size=1, max_size=4).map(tuple)
ALL_KINDS = ("drawn", "drawn", "unrelated", "extreme")
shares_missing = st.sampled_from([0.0, 0.0, 0.1, 0.5, 0.9])


@dataclass(frozen=True)
class Problem:
    """Parameters, an expression matrix with NaN where unobserved, and one block of it.

    With ``counts`` the expression holds counts.
    """

    parameters: Parameters
    expression: Float
    rows: Index
    genes: Index
    counts: Counts | None = None

    @property
    def block(self) -> Float:
        """The block's own entries, m x g."""
        return self.expression[np.ix_(self.rows, self.genes)]


def random_parameters(
    rng: np.random.Generator,
    n_samples: int,
    n_genes: int,
    n_components: int,
    gene_components: int,
    hidden: tuple[int, ...],
    *,
    loading: bool = True,
    bias: bool = True,
) -> Parameters:
    """Float64 parameters of the given shape: normal, layers scaled to keep activations near 1."""
    widths = (n_components + gene_components, *hidden, 1)
    layers = [
        part
        for n_in, n_out in pairwise(widths)
        for part in (
            rng.normal(size=n_out * n_in) * np.sqrt(2 / n_in),
            0.3 * rng.normal(size=n_out),
        )
    ]
    return Parameters(
        sample_embedding=rng.normal(size=(n_samples, n_components)),
        gene_embedding=rng.normal(size=(n_genes, gene_components)),
        network=np.concatenate(layers),
        hidden=hidden,
        gene_loading=rng.normal(size=(n_genes, n_components)) if loading else None,
        gene_bias=rng.normal(size=n_genes) if bias else None,
    )


@st.composite
def parameters(
    draw: st.DrawFn,
    *,
    max_samples: int = 7,
    max_genes: int = 40,
    loading: bool | None = None,
    bias: bool | None = None,
) -> Parameters:
    """Any shape, any depth, with and without the skip and the bias (None: either)."""
    return random_parameters(
        draw(generators),
        n_samples=draw(st.integers(1, max_samples)),
        n_genes=draw(st.integers(1, max_genes)),
        n_components=draw(st.integers(1, 5)),
        gene_components=draw(st.integers(1, 6)),
        hidden=draw(hidden_widths),
        loading=draw(st.booleans()) if loading is None else loading,
        bias=draw(st.booleans()) if bias is None else bias,
    )


@st.composite
def expressions(draw: st.DrawFn, n_samples: int, n_genes: int) -> Float:
    """A matrix of normal values; entries, whole rows, whole columns or all of it unobserved."""
    rng = draw(generators)
    values = rng.normal(size=(n_samples, n_genes))
    values[rng.random(values.shape) < draw(shares_missing)] = np.nan
    match draw(st.sampled_from(["entries", "entries", "row", "column", "all"])):
        case "row":
            values[rng.integers(n_samples)] = np.nan
        case "column":
            values[:, rng.integers(n_genes)] = np.nan
        case "all":
            values[:] = np.nan
    return values


@st.composite
def blocks(draw: st.DrawFn, n_samples: int, n_genes: int) -> tuple[Index, Index]:
    """(rows, genes): non-empty, without repeats, in any order."""
    rng = draw(generators)
    n_rows, n_columns = draw(st.integers(1, n_samples)), draw(st.integers(1, n_genes))
    return rng.permutation(n_samples)[:n_rows], rng.permutation(n_genes)[:n_columns]


@st.composite
def problems(draw: st.DrawFn, /, counts: bool | None = False, **limits: Any) -> Problem:
    """Parameters, a masked matrix of their size, and a block; ``limits`` go to `parameters`.

    The matrix holds measured values or ``counts`` (None: either).
    """
    p = draw(parameters(**limits))
    rows, genes = draw(blocks(p.n_samples, p.n_genes))
    problem = Problem(p, draw(expressions(p.n_samples, p.n_genes)), rows, genes)
    with_counts = draw(st.booleans()) if counts is None else counts
    return draw(counted(problem)) if with_counts else problem


@st.composite
def known_of_counts(draw: st.DrawFn, n_rows: int, n_columns: int) -> Counts:
    """Any parts of what is known of counts: sizes of 1e-4 to 1e7, dispersions of 0 to 1e4."""
    rng = draw(generators)

    def offset(size: int, widths: list[str]) -> Float | None:
        match draw(st.sampled_from(widths)):
            case "wide":
                return rng.uniform(np.log(1e-4), np.log(1e7), size).astype(np.float32)
            case "narrow":
                return rng.normal(size=size).astype(np.float32)
        return None

    def dispersion(size: int) -> Float | None:
        match draw(st.sampled_from(["none", "common", "any"])):
            case "common":
                return (10 ** rng.uniform(-3, 1, size)).astype(np.float32)
            case "any":
                return rng.choice([0.0, 1e-30, 1e-6, 0.1, 1.0, 1e4], size).astype(np.float32)
        return None

    return Counts(
        row_offset=offset(n_rows, ["none", "narrow", "wide"]),
        column_offset=offset(n_columns, ["none", "narrow"]),
        row_dispersion=dispersion(n_rows),
        column_dispersion=dispersion(n_columns),
    )


def some_counts(rng: np.random.Generator, kind: str, log_mean: Float, dispersion: Float) -> Float:
    """Counts drawn from the model, or that have nothing to do with it, or of extreme size."""
    shape = log_mean.shape
    match kind:
        case "unrelated":
            return np.floor(np.exp(rng.uniform(-3, np.log(1e7), shape)))
        case "extreme":
            return rng.choice([0.0, 1.0, 1e7], shape)
    mean = np.exp(np.clip(log_mean, -8, 12))
    kept = np.clip(dispersion, 1e-8, 1e2)
    return rng.poisson(np.minimum(mean * rng.gamma(1 / kept, kept, shape), 1e7)).astype(np.float64)


@st.composite
def counted(draw: st.DrawFn, problem: Problem, kinds: tuple[str, ...] = ALL_KINDS) -> Problem:
    """The same problem with counts, observed where it was."""
    p = problem.parameters
    every = np.arange(p.n_samples), np.arange(p.n_genes)
    counts = draw(known_of_counts(p.n_samples, p.n_genes))
    offset, dispersion = offset_and_dispersion(counts, *every)
    kind = draw(st.sampled_from(kinds))
    found = some_counts(draw(generators), kind, forward(p, *every) + offset, dispersion)
    found[np.isnan(problem.expression)] = np.nan
    return replace(problem, expression=found.astype(problem.expression.dtype), counts=counts)


@st.composite
def likelihoods(
    draw: st.DrawFn, n_genes: int, n_components: int, counts: Counts | None = None
) -> Likelihood:
    """Any parts of a likelihood; noise of about one, factors that a few or all genes share."""
    rng = draw(generators)
    n_factors = draw(st.sampled_from([0, 1, 2, 3, 5, 9, 16, 17])) if counts is None else 0
    has_weight, has_prior = draw(st.booleans()), draw(st.booleans())
    root = rng.normal(size=(n_components, n_components))
    factors = rng.normal(size=(n_genes, n_factors)) * (rng.random((n_genes, 1)) < 0.8)
    return Likelihood(
        weight=rng.uniform(0.2, 5.0, n_genes).astype(np.float32) if has_weight else None,
        factors=factors.astype(np.float32) if n_factors else None,
        mean=rng.normal(size=n_components) if has_prior else None,
        precision=root @ root.T + 0.1 * np.eye(n_components) if has_prior else None,
        counts=counts,
    )
