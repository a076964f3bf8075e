"""Fembed itself, through the same interface as its rivals."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.adapters import Float32, Placed
from fembed import Expression, FitConfig, fit, project


class Factorized:
    """The default fit on data that are on a log scale already."""

    def __init__(
        self,
        n_components: int,
        seed: int,
        n_threads: int,
        *,
        calibrate: bool = False,
        **options: Any,
    ) -> None:
        self.calibrate = calibrate  # a map alone does not need it
        self.config = FitConfig(
            n_components=n_components, seed=seed, n_threads=n_threads, **options
        )

    def fit(self, train: Float32) -> Placed:
        expression = Expression.adopt(train.copy())  # training overwrites its values
        self.model = fit(
            expression,
            self.config,
            transform="none",
            calibrate=self.calibrate,
        )
        n_observed = np.count_nonzero(~np.isnan(train), axis=1)
        return Placed(self.model.sample_embedding, overall(self.model.sample_loss, n_observed))

    def place(self, test: Float32) -> Placed:
        placed = project(self.model, test, n_threads=self.config.n_threads)
        return Placed(placed.sample_embedding, overall(placed.loss, placed.n_genes))


def overall(loss: NDArray[np.floating[Any]], n_observed: NDArray[np.integer[Any]]) -> float:
    """Mean over all observed entries, from each sample's mean over its own."""
    return float(np.average(loss, weights=n_observed))
