"""The rivals: those of libraries in one file, the others in one each.

All but ``torch_plain`` share the interface `Rival`: everything that learns learns in `fit`, from
training samples only; `place` puts new samples where they belong. A rival that has several ways to
place samples in one trained model has a method for each (`registry.Entry.ways`): it trains once.
``torch_plain`` is the plain autograd model that others are made of. `registry` lists them all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Placed:
    """Samples in an embedding, and the mean squared error over their observed entries."""

    embedding: NDArray[np.floating[Any]]  # n_samples x n_components
    mse: float | None = None  # None for a rival that cannot decode


class Rival(Protocol):
    """A way to reduce dimensions; made for one dimension and one seed."""

    def fit(self, train: Float32) -> Placed:
        """Learn from ``train`` (n_samples x n_genes, NaN where missing; not changed)."""

    def place(self, test: Float32) -> Placed:
        """Place samples that `fit` never saw."""


class MeanFilling:
    """Missing entries take the gene's mean over the training samples."""

    def __init__(self, train: Float32) -> None:
        mean = np.nanmean(train, axis=0, dtype=np.float64)
        self.mean = np.asarray(mean, np.float32)

    def __call__(self, values: Float32) -> Float32:
        return np.where(np.isnan(values), self.mean, values)


def mean_squared_error(values: Float32, decoded: NDArray[np.floating[Any]]) -> float:
    """Over the observed entries of ``values``."""
    return float(np.nanmean(np.square(values - decoded, dtype=np.float64)))
