"""Principal components, by scikit-learn."""

from __future__ import annotations

from sklearn.decomposition import PCA

from benchmarks.adapters import Float32, MeanFilling, Placed, mean_squared_error


class Pca:
    """Centred on the training means; the exact decomposition, which needs no seed."""

    def __init__(self, n_components: int, seed: int, n_threads: int) -> None:
        self._pca = PCA(n_components, svd_solver="full")

    def fit(self, train: Float32) -> Placed:
        self._filled = MeanFilling(train)
        self._pca.fit(self._filled(train))
        return self.place(train)

    def place(self, test: Float32) -> Placed:
        embedding = self._pca.transform(self._filled(test))
        return Placed(embedding, mean_squared_error(test, self._pca.inverse_transform(embedding)))
