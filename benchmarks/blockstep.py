"""The engine's step on random blocks of a matrix: the speed everything else is measured by."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fembed import engine
from fembed.parameters import Parameters, network_size

HIDDEN = (100, 50, 50)


def pair_flops(hidden: Sequence[int]) -> int:
    """Operations for one (sample, gene) pair: a multiply and an add, forward and twice backward.

    The first layer is not in it: the engine computes it once a gene and once a sample (see
    `gene_part_flops`). Neither are activations, Adam and the linear skip. 100-50-50 gives
    6 x (100*50 + 50*50 + 50) = 45,300.
    """
    between = sum(n_in * n_out for n_in, n_out in itertools.pairwise(hidden))
    return 6 * (between + hidden[-1])


def gene_part_flops(
    n_samples: int, n_genes: int, n_components: int, gene_components: int, hidden: Sequence[int]
) -> int:
    """Operations of the first layer for a whole block: once a gene and once a sample."""
    return 6 * hidden[0] * (n_genes * gene_components + n_samples * n_components)


def product_flops(size: int) -> int:
    """Operations of a product of two ``size`` x ``size`` matrices."""
    return 2 * size**3


@dataclass(frozen=True)
class Shape:
    """What one step is: a block and a model."""

    block_samples: int
    block_genes: int
    n_components: int = 2
    gene_components: int = 50
    hidden: tuple[int, ...] = HIDDEN
    linear: bool = True  # the linear skip and the gene bias of the fast recipe
    lazy: bool = True

    @property
    def n_pairs(self) -> int:
        return self.block_samples * self.block_genes

    @property
    def flops(self) -> int:
        """Of a step's pairs only."""
        return self.n_pairs * pair_flops(self.hidden)

    @property
    def flops_with_genes(self) -> int:
        """With the first layer, which is computed once a gene and once a sample."""
        return self.flops + gene_part_flops(
            self.block_samples,
            self.block_genes,
            self.n_components,
            self.gene_components,
            self.hidden,
        )


class BlockStep:
    """Steps of `engine.train` on blocks drawn before the clock starts.

    The rates are small: the time of a step does not depend on them, and no parameter runs away
    from data that another shape of model is meant for.
    """

    def __init__(
        self,
        values: NDArray[np.float32],
        shape: Shape,
        *,
        n_threads: int,
        isa: str = "",
        rate: float = 1e-4,
        seed: int = 1,
    ) -> None:
        self.shape, self._values = shape, values
        self._n_threads, self._isa, self._rate = n_threads, isa, rate
        self._rng = np.random.default_rng(seed)
        self._parameters = self._random_parameters()
        self._state = engine.AdamState.zeros(self._parameters)
        self.loss = math.nan

    def seconds_per_step(self, n_steps: int) -> float:
        """Time ``n_steps`` steps, after one step that wakes the threads."""
        blocks = self._draw(n_steps)
        self._train(self._draw(1))
        start = time.perf_counter()
        self.loss = self._train(blocks)
        return (time.perf_counter() - start) / n_steps

    def _train(self, blocks: engine.Blocks) -> float:
        loss, _ = engine.train(
            self._parameters,
            self._state,
            self._values,
            blocks,
            np.full((len(blocks), 3), self._rate, np.float32),
            lazy=self.shape.lazy,
            n_threads=self._n_threads,
            isa=self._isa,
        )
        if not np.isfinite(loss).all():
            raise RuntimeError("the loss of a timed step is not finite")
        return float(loss.mean())

    def _draw(self, n_steps: int) -> engine.Blocks:
        def subset(n: int, size: int) -> NDArray[np.int64]:
            return np.sort(self._rng.choice(n, size, replace=False))

        (n_samples, n_genes), shape = self._values.shape, self.shape
        pairs = [
            (subset(n_samples, shape.block_samples), subset(n_genes, shape.block_genes))
            for _ in range(n_steps)
        ]
        return engine.Blocks.of(pairs)

    def _random_parameters(self) -> Parameters:
        (n_samples, n_genes), shape, rng = self._values.shape, self.shape, self._rng
        d, e = shape.n_components, shape.gene_components

        def normal(*size: int) -> NDArray[np.float32]:
            return rng.standard_normal(size, dtype=np.float32)

        return Parameters(
            sample_embedding=normal(n_samples, d),
            gene_embedding=normal(n_genes, e),
            network=normal(network_size(d, e, shape.hidden)) * np.float32(0.1),
            hidden=shape.hidden,
            gene_loading=normal(n_genes, d) if shape.linear else None,
            gene_bias=normal(n_genes) if shape.linear else None,
        )
