"""PaCMAP, by its authors' package, with its defaults."""

from __future__ import annotations

import pacmap  # type: ignore[import-untyped]

from benchmarks.adapters import Float32, MeanFilling, Placed


class Pacmap:
    """Defaults but for the dimension and the seed.

    Its `transform` optimises the new samples against the training map, which stays; it wants the
    training matrix again.
    """

    def __init__(self, n_components: int, seed: int, n_threads: int) -> None:
        self._pacmap = pacmap.PaCMAP(n_components=n_components, random_state=seed)

    def fit(self, train: Float32) -> Placed:
        self._filled = MeanFilling(train)
        self._train = self._filled(train)
        return Placed(self._pacmap.fit_transform(self._train).copy())

    def place(self, test: Float32) -> Placed:
        return Placed(self._pacmap.transform(self._filled(test), basis=self._train))
