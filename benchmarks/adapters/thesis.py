"""The Julia recipe of the thesis chapter, from its description, with both of its inferences.

Whole profiles, Adam, 100-50-50, 100,000 iterations of 4 profiles at 5e-3 (`published_recipe`).
New samples: a tenth as many iterations of Adam over their positions, everything else frozen, from

- 1.0: the positions of training samples drawn at random;
- B: the position of the training sample whose reconstructed profile is nearest (Euclidean).

Two faults of the published code are not repeated: the tail minibatch is trained, and the last new
samples are optimised.
"""

from __future__ import annotations

import numpy as np

from benchmarks.adapters import Float32, Placed, mean_squared_error
from benchmarks.published_recipe import EngineRun, Thesis, infer
from fembed import engine


class ThesisRecipe:
    """The published steps in fembed's engine, which saves hours.

    `benchmarks time-to-quality` measures that plain PyTorch has the same loss curve.
    """

    def __init__(
        self, n_components: int, seed: int, n_threads: int, *, iterations: int = Thesis.iterations
    ) -> None:
        self.thesis = Thesis(n_components=n_components, seed=seed, iterations=iterations)
        self.n_threads = n_threads

    def fit(self, train: Float32) -> Placed:
        run = EngineRun(train, self.thesis, self.n_threads)
        run.advance(self.thesis.iterations)
        self.model = run.parameters().copy()
        positions = np.asarray(self.model.sample_embedding, np.float32)
        return Placed(positions, mean_squared_error(train, self._decode(positions)))

    def from_random(self, test: Float32) -> Placed:
        """Inference 1.0."""
        positions = np.asarray(self.model.sample_embedding, np.float32)
        drawn = np.random.default_rng(self.thesis.seed).integers(len(positions), size=len(test))
        return self._optimised(test, positions[drawn])

    def place(self, test: Float32) -> Placed:
        """Inference B."""
        positions = np.asarray(self.model.sample_embedding, np.float32)
        decoded = self._decode(positions)
        distances = engine.squared_distances(test, decoded, n_threads=self.n_threads)
        return self._optimised(test, positions[distances.argmin(axis=1)])

    def _optimised(self, test: Float32, starts: Float32) -> Placed:
        steps = self.thesis.iterations // 10
        placed = infer(self.model, test, starts, self.thesis, steps, self.n_threads)
        return Placed(placed, mean_squared_error(test, self._decode(placed)))

    def _decode(self, points: Float32) -> Float32:
        return engine.decode(self.model, points, n_threads=self.n_threads)
