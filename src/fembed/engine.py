"""The typed face of the native engine ``fembed._core``.

Training, gradients, decoding and solving have readable double-precision twins in
:mod:`fembed._reference`; the property tests hold the two together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fembed.threads import thread_count  # before OpenMP is loaded: it looks whether it was

# isort: split

from fembed import _core
from fembed.likelihood import LEAST_SQUARES, Counts, Likelihood
from fembed.parameters import Parameters

Float32 = NDArray[np.float32]
Indices = NDArray[np.integer[Any]]

#: Kernels that this processor can run, best first.
ISAS: tuple[str, ...] = tuple(_core.isas())

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8  # Adam's published defaults (Kingma & Ba 2015)


@dataclass
class AdamState:
    """Moments and numbers of updates: with the parameters, all that training has to remember."""

    first: Parameters
    second: Parameters
    sample_count: NDArray[np.int64]
    gene_count: NDArray[np.int64]
    network_count: NDArray[np.int64]

    @classmethod
    def zeros(cls, parameters: Parameters) -> AdamState:
        return cls(
            first=parameters.zeros_like(),
            second=parameters.zeros_like(),
            sample_count=np.zeros(parameters.n_samples, np.int64),
            gene_count=np.zeros(parameters.n_genes, np.int64),
            network_count=np.zeros(1, np.int64),
        )

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All arrays by name, for a checkpoint."""
        named: dict[str, NDArray[Any]] = {
            "sample_count": self.sample_count,
            "gene_count": self.gene_count,
            "network_count": self.network_count,
        }
        for prefix, moments in (("first", self.first), ("second", self.second)):
            named |= {f"{prefix}.{name}": array for name, array in moments.arrays().items()}
        return named


@dataclass(frozen=True)
class Blocks:
    """The blocks of a run of steps: step t is ``samples[t] x genes[t]``, without repeats."""

    samples: NDArray[np.int32]
    sample_offset: NDArray[np.int64]
    genes: NDArray[np.int32]
    gene_offset: NDArray[np.int64]

    @classmethod
    def of(cls, blocks: Sequence[tuple[Indices, Indices]]) -> Blocks:
        def joined(parts: list[Indices]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
            offset = np.zeros(len(parts) + 1, np.int64)
            np.cumsum([len(part) for part in parts], out=offset[1:])
            return np.concatenate(parts).astype(np.int32), offset

        samples, sample_offset = joined([rows for rows, _ in blocks])
        genes, gene_offset = joined([columns for _, columns in blocks])
        return cls(samples, sample_offset, genes, gene_offset)

    def __len__(self) -> int:
        return len(self.sample_offset) - 1

    @property
    def n_pairs(self) -> int:
        """Entries in all blocks, observed or not."""
        return int(np.diff(self.sample_offset) @ np.diff(self.gene_offset))


@dataclass(frozen=True)
class Steps:
    """A run of steps: what the engine reads, and what it fills, one entry a step."""

    expression: Float32
    counts: Counts | None
    blocks: Blocks
    loss: NDArray[np.float64]
    n_observed: NDArray[np.int64]

    @classmethod
    def on(cls, expression: Float32, counts: Counts | None, blocks: Blocks) -> Steps:
        n = len(blocks)
        return cls(expression, counts, blocks, np.empty(n, np.float64), np.empty(n, np.int64))


@dataclass(frozen=True)
class AdamOptions:
    """Adam's settings for a run of steps; `train` describes them."""

    learning_rates: NDArray[np.float32]
    weight_decay: float
    lazy: bool
    beta1: float = BETA1
    beta2: float = BETA2
    epsilon: float = EPSILON


@dataclass(frozen=True)
class SolveOptions:
    """How profiles are placed; `solve` describes them."""

    max_iterations: int
    tolerance: float
    curvature: bool


def _to_read(parameters: Parameters) -> Parameters:
    """To be read only: joblib hands arrays to its workers as read-only memory maps."""
    return parameters.map(lambda array: np.require(array, requirements="W"))


def train(
    parameters: Parameters,
    state: AdamState,
    expression: Float32,
    blocks: Blocks,
    learning_rates: NDArray[np.float32],
    *,
    counts: Counts | None = None,
    weight_decay: float = 0.0,
    lazy: bool = True,
    n_threads: int | None = None,
    isa: str = "",
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Run one Adam step on every block; ``parameters`` and ``state`` change in place.

    Parameters
    ----------
    parameters, state
        float32 arrays, C-contiguous.
    expression : float32, n_samples x n_genes
        NaN entries are left out of the loss.
    learning_rates : float32, n_steps x 3
        For the network, the genes (V, L, c) and the samples (U).
    counts : Counts, optional
        That the expression holds counts, not negative: predictions are then logarithms of means
        without their offsets, and an entry's loss is its unit deviance.
    weight_decay : float
        Coupled L2: Adam sees ``gradient + weight_decay * value``.
    lazy : bool
        Leave the rows of U, V, L and c that a block does not touch as they are; otherwise every
        row moves in every step, as in the published recipe.
    isa : str
        A kernel of :data:`ISAS`; the best one by default.

    Returns
    -------
    loss, n_observed : n_steps
        Mean squared error of each block before its update (of counts: mean unit deviance), and its
        number of observed entries.
    """
    steps = Steps.on(expression, counts, blocks)
    options = AdamOptions(learning_rates, weight_decay, lazy)
    _core.train(parameters, state, options, steps, thread_count(n_threads), isa)
    return steps.loss, steps.n_observed


def gradients(
    parameters: Parameters,
    expression: Float32,
    rows: Indices,
    genes: Indices,
    *,
    counts: Counts | None = None,
    n_threads: int | None = None,
    isa: str = "",
) -> tuple[float, int, Parameters]:
    """Loss of one block as in `train`, its observed entries, and the gradient by block rows."""
    p = parameters
    out = Parameters(
        sample_embedding=np.zeros((len(rows), p.n_components), np.float32),
        gene_embedding=np.zeros((len(genes), p.gene_components), np.float32),
        network=np.zeros_like(p.network),
        hidden=p.hidden,
        gene_loading=None
        if p.gene_loading is None
        else np.zeros((len(genes), p.n_components), np.float32),
        gene_bias=None if p.gene_bias is None else np.zeros(len(genes), np.float32),
    )
    steps = Steps.on(expression, counts, Blocks.of([(rows, genes)]))
    _core.gradients(p, steps, out, thread_count(n_threads), isa)
    return float(steps.loss[0]), int(steps.n_observed[0]), out


def decode(
    parameters: Parameters,
    points: Float32,
    *,
    genes: Indices | None = None,
    n_threads: int | None = None,
    isa: str = "",
) -> Float32:
    """Predicted expression (k x n_genes, or x len(genes)) at ``points`` (k x n_components)."""
    if genes is not None:
        parameters = parameters.take_genes(genes)
    points = np.ascontiguousarray(points, np.float32)
    out = np.empty((len(points), parameters.n_genes), np.float32)
    _core.decode(_to_read(parameters), points, out, thread_count(n_threads), isa)
    return out


@dataclass(frozen=True)
class Solution:
    """Where profiles belong.

    Attributes
    ----------
    u : float32, k x n_components
    cost : float64, k
        See `Likelihood`; that of least squares is the sum of squares over the observed genes.
    curvature : float64, k x n_components x n_components
        ``J' S^-1 J + precision``, with J the derivative of the observed genes' prediction in u; of
        counts, ``S^-1`` is the diagonal of weight times Fisher information.
    n_observed : int64, k
    n_iterations : int32, k
        Levenberg-Marquardt iterations, over all starts.
    """

    u: Float32
    cost: NDArray[np.float64]
    curvature: NDArray[np.float64]
    n_observed: NDArray[np.int64]
    n_iterations: NDArray[np.int32]

    @property
    def loss(self) -> NDArray[np.float64]:
        """The cost by observed gene (k); zero where there is none."""
        return np.asarray(self.cost / np.maximum(self.n_observed, 1), np.float64)

    def take(self, rows: NDArray[np.intp]) -> Solution:
        """That of some profiles, by their numbers."""
        return Solution(
            self.u[rows],
            self.cost[rows],
            self.curvature[rows],
            self.n_observed[rows],
            self.n_iterations[rows],
        )


def solve(
    parameters: Parameters,
    profiles: Float32,
    starts: Float32,
    *,
    likelihood: Likelihood = LEAST_SQUARES,
    max_iterations: int = 30,
    tolerance: float = 1e-5,
    curvature: bool = True,
    n_threads: int | None = None,
    isa: str = "",
) -> Solution:
    """Levenberg-Marquardt for each profile alone, genes and network frozen.

    ``profiles`` is k x n_genes with NaN where unobserved, ``starts`` is k x n_starts x
    n_components; the best start is kept. ``tolerance`` is the relative decrease of the cost at
    which a descent ends. Without ``curvature`` the solution's is not that of its last
    step, which is then cheaper.
    """
    k, d = len(profiles), parameters.n_components
    solution = Solution(
        u=np.empty((k, d), np.float32),
        cost=np.empty(k, np.float64),
        curvature=np.empty((k, d, d), np.float64),
        n_observed=np.empty(k, np.int64),
        n_iterations=np.empty(k, np.int32),
    )
    options = SolveOptions(max_iterations, tolerance, curvature)
    threads = thread_count(n_threads)
    _core.solve(_to_read(parameters), profiles, starts, likelihood, options, solution, threads, isa)
    return solution


def squared_distances(
    profiles: Float32, candidates: Float32, *, n_threads: int | None = None, isa: str = ""
) -> Float32:
    """Sum of squared differences (k x n_candidates) over each profile's observed genes."""
    out = np.empty((len(profiles), len(candidates)), np.float32)
    _core.squared_distances(profiles, candidates, out, thread_count(n_threads), isa)
    return out
