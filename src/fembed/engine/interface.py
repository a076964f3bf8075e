"""What an engine takes and gives: blocks, Adam's state, options, solutions; and its five calls.

An engine is a room of this package that has the calls of `Engine`. They read checked or unchecked
NumPy arrays and fill others: a wrong type is a TypeError, a wrong shape or index a ValueError, and
then nothing has changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fembed.likelihood import Counts, Likelihood
from fembed.parameters import Parameters

Float32 = NDArray[np.float32]
Indices = NDArray[np.integer[Any]]

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


class Engine(Protocol):
    """The calls of an engine; `fembed.engine.calls` describes what they compute.

    ``n_threads`` is for work on the processor; ``isa`` names a kernel of the engine, "" its best.
    """

    def describe(self) -> str:
        """In a few words what computes, for reports."""

    def train(
        self,
        parameters: Parameters,
        state: AdamState,
        options: AdamOptions,
        steps: Steps,
        n_threads: int,
        isa: str,
    ) -> None: ...

    def gradients(
        self, parameters: Parameters, steps: Steps, out: Parameters, n_threads: int, isa: str
    ) -> None: ...

    def decode(
        self, parameters: Parameters, points: Float32, out: Float32, n_threads: int, isa: str
    ) -> None: ...

    def solve(
        self,
        parameters: Parameters,
        profiles: Float32,
        starts: Float32,
        likelihood: Likelihood,
        options: SolveOptions,
        solution: Solution,
        n_threads: int,
        isa: str,
    ) -> None: ...

    def squared_distances(
        self, profiles: Float32, candidates: Float32, out: Float32, n_threads: int, isa: str
    ) -> None: ...
