"""PCA, NMF, UMAP, t-SNE and PaCMAP with their libraries' defaults, but for dimension and seed.

Missing entries take the training means. A library is imported where it is used: it may be absent.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.decomposition import NMF, PCA
from sklearn.exceptions import ConvergenceWarning

from benchmarks.adapters import Float32, MeanFilling, Placed, mean_squared_error


class Pca:
    """By scikit-learn; the exact decomposition, which needs no seed."""

    def __init__(self, n_components: int, seed: int, n_threads: int) -> None:
        self._pca = PCA(n_components, svd_solver="full")

    def fit(self, train: Float32) -> Placed:
        self._filled = MeanFilling(train)
        self._pca.fit(self._filled(train))
        return self.place(train)

    def place(self, test: Float32) -> Placed:
        embedding = self._pca.transform(self._filled(test))
        return Placed(embedding, mean_squared_error(test, self._pca.inverse_transform(embedding)))


class Nmf:
    """By scikit-learn: 200 iterations of coordinate descent, converged or not.

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
        self._quietly(self._nmf.fit, train)
        return self.place(train)

    def place(self, test: Float32) -> Placed:
        embedding = self._quietly(self._nmf.transform, test)
        decoded = embedding @ self._nmf.components_ + self._low
        return Placed(embedding, mean_squared_error(test, decoded))

    def _quietly(self, call: Any, values: Float32) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return call(np.maximum(self._filled(values) - np.float32(self._low), 0))


class Umap:
    """By umap-learn, which uses one thread where it is given a seed."""

    def __init__(self, n_components: int, seed: int, n_threads: int) -> None:
        import umap

        self._umap = umap.UMAP(n_components=n_components, random_state=seed)

    def fit(self, train: Float32) -> Placed:
        self._filled = MeanFilling(train)
        with warnings.catch_warnings():
            # "n_jobs value 1 overridden to 1 by setting random_state": wanted.
            warnings.filterwarnings("ignore", message="n_jobs value")
            return Placed(self._umap.fit_transform(self._filled(train)))

    def place(self, test: Float32) -> Placed:
        return Placed(self._umap.transform(self._filled(test)))


class OpenTsne:
    """By openTSNE; `transform` adds new samples one by one."""

    def __init__(self, n_components: int, seed: int, n_threads: int) -> None:
        import openTSNE  # type: ignore[import-not-found, import-untyped, unused-ignore]

        self._tsne = openTSNE.TSNE(n_components=n_components, random_state=seed, n_jobs=n_threads)

    def fit(self, train: Float32) -> Placed:
        self._filled = MeanFilling(train)
        self._map = self._tsne.fit(self._filled(train))
        # `transform` centres the map it adds to; done now, it changes nothing later.
        self._map -= (self._map.max(axis=0) + self._map.min(axis=0)) / 2
        return Placed(np.array(self._map))

    def place(self, test: Float32) -> Placed:
        return Placed(np.array(self._map.transform(self._filled(test))))


class Pacmap:
    """By its authors' package; `transform` optimises new samples against the training map.

    That map stays; `transform` wants the training matrix again.
    """

    def __init__(self, n_components: int, seed: int, n_threads: int) -> None:
        import pacmap  # type: ignore[import-not-found, import-untyped, unused-ignore]

        self._pacmap = pacmap.PaCMAP(n_components=n_components, random_state=seed)

    def fit(self, train: Float32) -> Placed:
        self._filled = MeanFilling(train)
        self._train = self._filled(train)
        return Placed(self._pacmap.fit_transform(self._train).copy())

    def place(self, test: Float32) -> Placed:
        return Placed(self._pacmap.transform(self._filled(test), basis=self._train))
