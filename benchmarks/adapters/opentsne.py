"""t-SNE, by openTSNE, with its defaults."""

from __future__ import annotations

import numpy as np
import openTSNE  # type: ignore[import-untyped]

from benchmarks.adapters import Float32, MeanFilling, Placed


class OpenTsne:
    """Defaults but for the dimension and the seed; `transform` adds new samples one by one."""

    def __init__(self, n_components: int, seed: int, n_threads: int) -> None:
        self._tsne = openTSNE.TSNE(n_components=n_components, random_state=seed, n_jobs=n_threads)

    def fit(self, train: Float32) -> Placed:
        self._filled = MeanFilling(train)
        self._map = self._tsne.fit(self._filled(train))
        # `transform` centres the map it adds to; done now, it changes nothing later.
        self._map -= (self._map.max(axis=0) + self._map.min(axis=0)) / 2
        return Placed(np.array(self._map))

    def place(self, test: Float32) -> Placed:
        return Placed(np.array(self._map.transform(self._filled(test))))
