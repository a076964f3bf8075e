"""Expression that nobody measured, of any size, made row by row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.options import Common, option, seed_option

CHUNK_ROWS = 256


@dataclass(frozen=True, kw_only=True)
class OnSimulated(Common):
    """Options of a benchmark on simulated data."""

    samples: int = option(10_344, "samples simulated (of the largest matrix)", least=16)
    genes: int = option(19_962, "genes simulated (of the largest matrix)", least=16)
    seed: int = seed_option()

    def simulated(self) -> NDArray[np.float32]:
        return simulated_expression(self.samples, self.genes, seed=self.seed)


def simulated_expression(
    n_samples: int,
    n_genes: int,
    *,
    rank: int = 20,
    groups: int = 30,
    noise: float = 0.4,
    seed: int = 0,
) -> NDArray[np.float32]:
    """Groups of samples on a few factors, with noise: float32, n_samples x n_genes.

    A gene's mean is between 0 and 4, about the range of log10(x + 1); the factors' variance falls
    off, as the principal components' of real expression does. The only large array is the result.
    """
    rng = np.random.default_rng(seed)
    strength = 1 / np.sqrt(np.arange(1, rank + 1))
    loading = (rng.standard_normal((rank, n_genes)) * strength[:, None] * 0.3).astype(np.float32)
    centre = rng.standard_normal((groups, rank)).astype(np.float32) * np.float32(1.5)
    mean = rng.uniform(0, 4, n_genes).astype(np.float32)
    values = np.empty((n_samples, n_genes), np.float32)
    for start in range(0, n_samples, CHUNK_ROWS):
        rows = values[start : start + CHUNK_ROWS]
        factors = centre[rng.integers(groups, size=len(rows))]
        factors = factors + rng.standard_normal(factors.shape, dtype=np.float32)
        rng.standard_normal(dtype=np.float32, out=rows)
        rows *= np.float32(noise)
        rows += mean
        rows += factors @ loading
    return values
