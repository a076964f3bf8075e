"""A normal prior of what is solved for.

Few observations cannot hold many unknowns: their noise would throw them far from everything known.
The most probable unknowns x minimise ``sum of squares + noise * (x - m)' S^-1 (x - m)``, with m and
S a mean and a covariance.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fembed.engine import Float32
from fembed.likelihood import Likelihood


@dataclass(frozen=True)
class Prior:
    """A normal distribution of unknowns, and the noise of an entry to weigh it against.

    Attributes
    ----------
    mean : n_unknowns
    covariance : n_unknowns x n_unknowns, positive definite
    noise : float
        Variance of what the model leaves of an entry: the prior counts as one entry's noise.
    """

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]
    noise: float

    @classmethod
    def of_samples(cls, sample_embedding: Float32, noise: float) -> Prior:
        """The distribution of the training samples' places (n_samples x n_components)."""
        places = sample_embedding.astype(np.float64)
        d = places.shape[1]
        spread = np.atleast_2d(np.cov(places.T)) if len(places) > 1 else np.eye(d)
        # A direction that no training sample took is nearly closed, not infinitely so.
        spread = spread + np.eye(d) * max(1e-6 * np.trace(spread) / d, 1e-12)
        return cls(places.mean(axis=0), spread, noise)

    @classmethod
    def of_genes(cls, unknowns: Float32, noise: float) -> Prior:
        """The distribution of a model's genes; with many samples it counts for nothing.

        Parameters
        ----------
        unknowns : float32, n_genes x n_unknowns
            As `fembed.solvers.genes.unknowns` has them.
        noise : float
        """
        known = unknowns.astype(np.float64)
        n = known.shape[1]
        covariance = np.atleast_2d(np.cov(known.T)) if len(known) > 1 else np.zeros((n, n))
        size = max(1.0, float(np.trace(covariance)) / n)
        # With an inverse, in any units.
        return cls(known.mean(axis=0), covariance + 1e-6 * size * np.eye(n), noise)

    @cached_property
    def likelihood(self) -> Likelihood:
        """Least squares with this prior: its precision times the noise adds to J'J."""
        precision = np.ascontiguousarray(self.noise * np.linalg.inv(self.covariance), np.float64)
        return Likelihood(mean=np.ascontiguousarray(self.mean), precision=precision)
