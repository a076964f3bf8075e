"""The dispersion of every gene's counts, from their fitted means, by empirical Bayes.

A negative binomial count with mean mu and dispersion a has the variance V = mu + a mu^2, so
``(y - mu)^2 - mu`` has the expectation ``a mu^2``. Any weighted mean of these over the samples
of a gene,

    a_j = sum_i w_ij ((y_ij - mu_ij)^2 - mu_ij) / sum_i w_ij mu_ij^2 ,

is therefore unbiased, and may be negative. The variance of ``(y - mu)^2`` is
``V^2 (2 + 6 a) + V`` (from the fourth cumulant of the distribution), so the best weights are
``mu^2 / (V^2 (2 + 6 a) + V)``, and the variance of a_j is then one over the sum of ``w mu^2``. The
weights take the dispersion that genes of this mean have, so that a gene's noise does not choose
its own weights.

The estimate of one gene has much noise. Genes together say more: dispersions lie around a trend,
``constant + slope / mean`` (Love et al. 2014), with a variance in proportion to its square. Trend
and variance are estimated from all genes, and the dispersion of each gene is the mean of its own
estimate and of the trend, weighted by how well each is known (linear empirical Bayes; Robinson &
Smyth 2007 and Love et al. 2014 do the like with likelihoods).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.floating[Any]]
Float64 = NDArray[np.float64]

#: Rounds of estimates and trend; only weights depend on the round before.
ROUNDS = 5
#: A common dispersion to begin with; only weights depend on it.
FIRST_DISPERSION = 0.1
#: Genes whose entries are in memory in double precision at the same time.
GENES_AT_ONCE = 256
#: Spread around the trend, as a part of it, below which genes are not told apart, and above which
#: the trend says nothing.
SPREAD_LIMITS = (1e-4, 100.0)


@dataclass(frozen=True)
class Dispersions:
    """What is known of the dispersions of genes.

    Attributes
    ----------
    dispersion : float64, n_genes
        Of every gene: its own estimate drawn to the trend; not negative.
    own : float64, n_genes
        Each gene's own estimate, unbiased, so it may be negative; NaN without counts.
    variance : float64, n_genes
        That of ``own``; infinite without counts.
    trend : float64, n_genes
        At each gene's mean.
    constant, slope : float
        The trend is ``constant + slope / mean``.
    spread : float
        The variance of genes around the trend, as a part of its square.
    """

    dispersion: Float64
    own: Float64
    variance: Float64
    trend: Float64
    constant: float
    slope: float
    spread: float


def estimate_dispersions(counts: Float, means: Float, *, n_unknowns: float = 0.0) -> Dispersions:
    """Estimate the dispersion of every gene from its counts and their fitted means.

    Parameters
    ----------
    counts : n_samples x n_genes
        NaN where missing.
    means : n_samples x n_genes
        Positive, with the samples' sizes.
    n_unknowns : float
        How many numbers the means were fitted with, per gene: residuals are too small by that
        share of a gene's samples. Genes with no more samples than that say nothing.

    Returns
    -------
    Dispersions

    Raises
    ------
    ValueError
        If the two matrices differ in shape, or the mean of an observed count is not positive.

    Examples
    --------
    Poisson counts have none:

    >>> import numpy as np
    >>> means = np.full((200, 50), 3.0)
    >>> found = estimate_dispersions(np.random.default_rng(0).poisson(means), means)
    >>> bool(found.dispersion.mean() < 0.01)
    True
    """
    if counts.shape != means.shape or counts.ndim != 2:
        raise ValueError(f"counts {counts.shape} and their means {means.shape} differ in shape")
    mean = _mean_of_genes(counts, means)
    trend = np.full(len(mean), FIRST_DISPERSION)
    spread = 1.0
    for _ in range(ROUNDS):
        own, variance = _own_estimates(counts, means, trend, n_unknowns)
        constant, slope = _fitted_trend(mean, own, variance + spread * trend**2)
        trend = constant + slope / mean
        spread = _spread(own, variance, trend)
    told = np.isfinite(variance)
    # Where the trend is zero and so has no variance, the genes are Poisson's.
    between = spread * trend**2
    share = np.divide(between, between + variance, out=np.zeros(len(mean)), where=told)
    drawn = np.where(told, share * np.where(told, own, 0.0) + (1.0 - share) * trend, trend)
    return Dispersions(np.maximum(drawn, 0.0), own, variance, trend, constant, slope, spread)


def _mean_of_genes(counts: Float, means: Float) -> Float64:
    """Of the observed entries; that of all genes where a gene has none."""
    mean = np.empty(counts.shape[1])
    for genes in _parts(counts.shape[1]):
        seen = ~np.isnan(counts[:, genes])
        if not (means[:, genes][seen] > 0).all():
            raise ValueError("the fitted means of counts are positive")
        total = np.where(seen, means[:, genes], 0.0).sum(axis=0, dtype=np.float64)
        number = seen.sum(axis=0)
        mean[genes] = np.where(number > 0, total / np.maximum(number, 1), np.nan)
    known = ~np.isnan(mean)
    mean[~known] = mean[known].mean() if known.any() else 1.0
    return mean


def _own_estimates(
    counts: Float, means: Float, dispersion: Float64, n_unknowns: float
) -> tuple[Float64, Float64]:
    """Every gene's estimate and its variance, with weights for ``dispersion``."""
    own, variance = np.full((2, counts.shape[1]), np.nan)
    for genes in _parts(counts.shape[1]):
        y = counts[:, genes].astype(np.float64)
        seen = ~np.isnan(y)
        mu = np.where(seen, means[:, genes], 1.0).astype(np.float64)
        total = mu + dispersion[genes] * mu**2
        weight = np.where(seen, mu**2 / (total**2 * (2.0 + 6.0 * dispersion[genes]) + total), 0.0)
        free = seen.sum(axis=0) - n_unknowns
        lost = np.where(free > 0, seen.sum(axis=0) / np.where(free > 0, free, 1.0), np.nan)
        squares = (weight * np.where(seen, y - mu, 0.0) ** 2).sum(axis=0) * lost
        information = (weight * mu**2).sum(axis=0)
        some = (information > 0) & (free > 0)
        information = np.where(some, information, np.nan)
        own[genes] = (squares - (weight * mu).sum(axis=0)) / information
        variance[genes] = np.where(some, lost / information, np.inf)
    return own, variance


def _fitted_trend(mean: Float64, own: Float64, variance: Float64) -> tuple[float, float]:
    """Constant and slope, neither negative, by weighted least squares."""
    told = np.isfinite(variance)
    if not told.any():
        return FIRST_DISPERSION, 0.0
    root = 1.0 / np.sqrt(variance[told])
    design = np.column_stack([root, root / mean[told]])
    scale = np.linalg.norm(design, axis=0)
    from scipy.optimize import nnls  # slow to import, and no saved model needs it

    found = nnls(design / scale, root * own[told])[0] / scale
    return float(found[0]), float(found[1])


def _spread(own: Float64, variance: Float64, trend: Float64) -> float:
    """By moments: what squared distances from the trend exceed their noise by."""
    told = np.isfinite(variance) & (trend > 0)
    if not told.any():
        return SPREAD_LIMITS[0]
    # Genes whose estimate is worse than the trend is high say little.
    weight = 1.0 / (variance[told] + trend[told] ** 2) ** 2
    excess = (own[told] - trend[told]) ** 2 - variance[told]
    spread = float(weight @ (excess * trend[told] ** 2) / (weight @ trend[told] ** 4))
    return float(np.clip(spread, *SPREAD_LIMITS))


def _parts(n_genes: int) -> list[slice]:
    return [slice(begin, begin + GENES_AT_ONCE) for begin in range(0, n_genes, GENES_AT_ONCE)]
