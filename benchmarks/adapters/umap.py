"""UMAP, by umap-learn, with its defaults."""

from __future__ import annotations

import warnings

import umap

from benchmarks.adapters import Float32, MeanFilling, Placed


class Umap:
    """Defaults but for the dimension and the seed; a seed makes umap-learn use one thread."""

    def __init__(self, n_components: int, seed: int, n_threads: int) -> None:
        self._umap = umap.UMAP(n_components=n_components, random_state=seed)

    def fit(self, train: Float32) -> Placed:
        self._filled = MeanFilling(train)
        with warnings.catch_warnings():
            # "n_jobs value 1 overridden to 1 by setting random_state": wanted.
            warnings.filterwarnings("ignore", message="n_jobs value")
            return Placed(self._umap.fit_transform(self._filled(train)))

    def place(self, test: Float32) -> Placed:
        return Placed(self._umap.transform(self._filled(test)))
