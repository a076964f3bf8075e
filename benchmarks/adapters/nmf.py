"""Non-negative matrix factorisation, by scikit-learn."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.decomposition import NMF
from sklearn.exceptions import ConvergenceWarning

from benchmarks.adapters import Float32, MeanFilling, Placed, mean_squared_error


class Nmf:
    """Defaults (200 iterations of coordinate descent) but for the dimension and the seed.

    Training samples are placed as new ones are, by `transform`: what `fit` leaves them at is not
    where `transform` puts them, and neighbours would be sought in another space. Values below zero
    are made room for by the training part's minimum; what is lower still in a new sample counts
    as that minimum.
    """

    def __init__(self, n_components: int, seed: int, n_threads: int) -> None:
        self._nmf = NMF(n_components, random_state=seed)

    def fit(self, train: Float32) -> Placed:
        self._filled = MeanFilling(train)
        self._low = min(0.0, float(np.nanmin(train)))
        with warnings.catch_warnings():
            # Its default number of iterations is what is measured, converged or not.
            warnings.simplefilter("ignore", ConvergenceWarning)
            self._nmf.fit(self._shifted(train))
        return self.place(train)

    def place(self, test: Float32) -> Placed:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            embedding = self._nmf.transform(self._shifted(test))
        return self._placed(embedding, test)

    def _shifted(self, values: Float32) -> Float32:
        shifted: Float32 = np.maximum(self._filled(values) - np.float32(self._low), 0)
        return shifted

    def _placed(self, embedding: Float32, values: Float32) -> Placed:
        decoded = embedding @ self._nmf.components_ + self._low
        return Placed(embedding, mean_squared_error(values, decoded))
