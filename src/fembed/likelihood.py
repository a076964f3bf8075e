"""How residuals and unknowns are distributed: what the solvers judge places and genes by."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Selection = NDArray[Any] | list[int] | slice


#: Logarithms of means beyond these limits cannot belong to counts: there the likelihood goes on
#: with the slope that it has at the limit, so that nothing overflows float32.
LOG_MEAN_LIMITS = (-30.0, 25.0)


@dataclass(frozen=True, eq=False)
class Counts:
    """That the values of a matrix are counts: they are negative binomial.

    The count in row i and column j has the mean ``exp(offset + prediction)`` and the variance
    ``mean + dispersion * mean^2``. Offset and dispersion are sums of what the row gives and what
    the column gives, None being zero. A dispersion of zero is Poisson's. `of_samples` makes the
    usual case; where genes are solved, the matrix is transposed, and so is this.

    Attributes
    ----------
    row_offset, column_offset : float32, n_rows and n_columns, optional
        Between -100 and 100.
    row_dispersion, column_dispersion : float32, n_rows and n_columns, optional
        Between 0 and 1e12.

    Examples
    --------
    Two samples, one of twice the sequencing depth, and three genes, the last one Poisson:

    >>> counts = Counts.of_samples(size=[1.0, 2.0], dispersion=[0.5, 0.1, 0.0])
    >>> np.exp(counts.row_offset)
    array([1., 2.], dtype=float32)
    >>> counts.take_columns([2]).column_dispersion.tolist()
    [0.0]
    """

    row_offset: Float32 | None = None
    column_offset: Float32 | None = None
    row_dispersion: Float32 | None = None
    column_dispersion: Float32 | None = None

    @classmethod
    def of_samples(cls, size: ArrayLike, dispersion: ArrayLike) -> Counts:
        """Those of samples (rows) with their size factors, and genes with their dispersions.

        Parameters
        ----------
        size : n_samples
            Positive: what the mean of every gene of a sample is multiplied by.
        dispersion : n_genes
            Not negative.

        Raises
        ------
        ValueError
            If a size factor is not a positive number.
        """
        size = np.asarray(size, np.float64)
        if not (np.isfinite(size) & (size > 0)).all():
            raise ValueError("size factors of samples are positive numbers")
        offset = np.log(size).astype(np.float32)
        return cls(row_offset=offset, column_dispersion=np.asarray(dispersion, np.float32))

    def transposed(self) -> Counts:
        """That of the transposed matrix."""
        return Counts(
            row_offset=self.column_offset,
            column_offset=self.row_offset,
            row_dispersion=self.column_dispersion,
            column_dispersion=self.row_dispersion,
        )

    def take_rows(self, rows: Selection) -> Counts:
        """That of some rows, by their numbers or a slice."""
        return replace(
            self,
            row_offset=_taken(self.row_offset, rows),
            row_dispersion=_taken(self.row_dispersion, rows),
        )

    def take_columns(self, columns: Selection) -> Counts:
        """That of some columns, by their numbers or a slice."""
        return self.transposed().take_rows(columns).transposed()


def _taken(values: Float32 | None, which: Selection) -> Float32 | None:
    return None if values is None else np.ascontiguousarray(values[which])


@dataclass(frozen=True, eq=False)
class Likelihood:
    """What places are judged by: how residuals and unknowns are distributed.

    The cost of a place u is ``r' S^-1 r + (u - mean)' precision (u - mean)``, with r the residuals
    of the observed genes and ``S = factors factors' + diag(1 / weight)`` their covariance: minus
    twice the logarithm of its posterior density, up to a constant. What is None plays no part;
    without anything, the cost is the sum of squares.

    With ``counts``, the sum of weight times unit deviance takes the place of ``r' S^-1 r``, which
    again is minus twice the logarithm of the density, up to a constant. Counts have no factors
    here: what genes share can be given to the model as further unknowns, whose loadings are the
    factors and whose prior is standard normal.

    Attributes
    ----------
    weight : float32, n_genes, optional
        Positive: one over the variance of a gene's own noise; all one by default. For counts, one
        over the factor by which a gene's variance exceeds the likelihood's (quasi-likelihood).
    factors : float32, n_genes x n_factors, optional
        What each of some standard normal factors adds to the genes.
    mean : float64, n_components, optional
        Of the unknowns; goes with ``precision``.
    precision : float64, n_components x n_components, optional
        The inverse of the unknowns' covariance, symmetric.
    counts : Counts, optional
        That the profiles (rows) are counts; without it they are measured values.
    """

    weight: Float32 | None = None
    factors: Float32 | None = None
    mean: Float64 | None = None
    precision: Float64 | None = None
    counts: Counts | None = None

    def take_genes(self, genes: NDArray[Any]) -> Likelihood:
        """That of some genes, by their numbers."""
        return replace(
            self,
            weight=None if self.weight is None else self.weight[genes],
            factors=None if self.factors is None else self.factors[genes],
            counts=None if self.counts is None else self.counts.take_columns(genes),
        )

    def take_profiles(self, rows: Selection) -> Likelihood:
        """That of some profiles, by their numbers or a slice: only of counts does each have one."""
        if self.counts is None:
            return self
        return replace(self, counts=self.counts.take_rows(rows))

    def marginal_scale(self) -> Float32 | None:
        """One over the standard deviation of each gene's residual, shared part included."""
        if self.weight is None and self.factors is None:
            return None
        variance: Any = 1.0 if self.weight is None else 1.0 / self.weight
        if self.factors is not None:
            variance = variance + np.square(self.factors).sum(axis=1)
        return np.asarray(1.0 / np.sqrt(variance), np.float32)


LEAST_SQUARES = Likelihood()
