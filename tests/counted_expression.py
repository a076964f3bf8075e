"""Counts of a few kinds of cells whose depth differs tenfold, for tests of models of counts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fembed.data.expression import Expression

N_SAMPLES, N_GENES, N_KINDS = 150, 240, 3
#: A fit of seconds.
QUICK = {"likelihood": "counts", "hidden": (16,), "gene_components": 4, "iterations": 1500}


def kinds(n_samples: int = N_SAMPLES, seed: int = 1) -> NDArray[np.intp]:
    """The kind of each sample."""
    return np.random.default_rng(seed).integers(0, N_KINDS, n_samples)


def rates(seed: int = 0) -> NDArray[np.float64]:
    """Mean counts of each kind (n_kinds x n_genes) in a sample of size one."""
    rng = np.random.default_rng(seed)
    common = np.exp(rng.normal(0.0, 1.0, N_GENES))
    return common * np.exp(rng.normal(0.0, 0.7, (N_KINDS, N_GENES)))


def counted(
    n_samples: int = N_SAMPLES, seed: int = 1, dispersion: float = 0.1
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Negative binomial counts (n_samples x n_genes) of `kinds`, and the samples' sizes."""
    rng = np.random.default_rng((seed, 7))
    size = np.exp(rng.uniform(np.log(0.3), np.log(3.0), n_samples))
    mean = size[:, None] * rates()[kinds(n_samples, seed)]
    drawn = rng.poisson(mean * rng.gamma(1.0 / dispersion, dispersion, mean.shape))
    return drawn.astype(np.float32), size


def expression(values: NDArray[np.float32], prefix: str = "cell") -> Expression:
    """With names of samples and genes."""
    return Expression.adopt(
        values,
        [f"{prefix}{i}" for i in range(len(values))],
        [f"G{j}" for j in range(values.shape[1])],
    )
