"""How residuals and unknowns are distributed: what the solvers judge places and genes by."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Likelihood:
    """What places are judged by: how residuals and unknowns are distributed.

    The cost of a place u is ``r' S^-1 r + (u - mean)' precision (u - mean)``, with r the residuals
    of the observed genes and ``S = factors factors' + diag(1 / weight)`` their covariance: minus
    twice the logarithm of its posterior density, up to a constant. What is None plays no part;
    without anything, the cost is the sum of squares.

    Attributes
    ----------
    weight : float32, n_genes, optional
        Positive: one over the variance of a gene's own noise; all one by default.
    factors : float32, n_genes x n_factors, optional
        What each of some standard normal factors adds to the genes.
    mean : float64, n_components, optional
        Of the unknowns; goes with ``precision``.
    precision : float64, n_components x n_components, optional
        The inverse of the unknowns' covariance, symmetric.
    """

    weight: Float32 | None = None
    factors: Float32 | None = None
    mean: Float64 | None = None
    precision: Float64 | None = None

    def take_genes(self, genes: NDArray[Any]) -> Likelihood:
        """That of some genes, by their numbers."""
        return replace(
            self,
            weight=None if self.weight is None else self.weight[genes],
            factors=None if self.factors is None else self.factors[genes],
        )

    def marginal_scale(self) -> Float32 | None:
        """One over the standard deviation of each gene's residual, shared part included."""
        if self.weight is None and self.factors is None:
            return None
        variance: Any = 1.0 if self.weight is None else 1.0 / self.weight
        if self.factors is not None:
            variance = variance + np.square(self.factors).sum(axis=1)
        return np.asarray(1.0 / np.sqrt(variance), np.float32)


LEAST_SQUARES = Likelihood()
