"""How far each gene of a sample lies from what all its other genes say.

Under the likelihood of map, residual factors and noise, a gene's value given the sample's other
genes is normal. Its mean and variance come from one solve of all genes: the scores of the factors
are a ridge regression, and leaving one entry out of a ridge regression divides its residual by one
minus its leverage.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from threadpoolctl import threadpool_limits

from fembed.engine import Float32
from fembed.solvers.residual_factors import ResidualFactors, alike

Float64 = NDArray[np.float64]

#: With fewer observed genes a sample's own spread of residuals is not known well enough.
MIN_GENES = 200
#: Quantiles of a sample's absolute residuals: the middle gives their scale, the outer their tails.
MIDDLE, OUTER = 0.5, 0.99
#: Tails as those of Student's t with so many degrees of freedom; the last is the normal's.
TAILS = np.array([2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 30.0, np.inf])


def left_out(residuals: Float32, factors: ResidualFactors) -> tuple[Float64, Float64]:
    """Each gene's residual and standard deviation, given its sample's other genes.

    Parameters
    ----------
    residuals : float32, k x n_genes
        What the map leaves of samples; NaN where missing.
    factors : ResidualFactors
        Of these genes.

    Returns
    -------
    gap, deviation : float64, k x n_genes
        NaN where missing.
    """
    gap, deviation = np.full((2, *residuals.shape), np.nan)
    with threadpool_limits(1, user_api="blas"):
        for rows, genes in alike(residuals):
            loading, weight, covariance = factors.posterior(genes)
            pulled = loading @ covariance
            shared = np.einsum("jk,jk->j", pulled, loading)  # the variance of the shared part
            kept = np.maximum(1.0 - weight * shared, 1e-6)  # one less the leverage
            own, here = residuals[np.ix_(rows, genes)].astype(np.float64), np.ix_(rows, genes)
            gap[here] = (own - (own * weight) @ loading @ pulled.T) / kept
            deviation[here] = np.sqrt(factors.noise[genes] + shared / kept)
    return gap, deviation


def two_sided(z: Float64) -> tuple[Float64, Float64]:
    """Standardised residuals of one sample on the scale of its own genes, and their p-values.

    Most genes of a sample are as they should be, so their residuals say how wide its noise is and
    how heavy its tails are: an empirical null (Efron 2004), a scaled t distribution with the
    sample's own median and 99 % point of absolute residuals. A sample with few genes keeps the
    normal distribution of the likelihood.

    Parameters
    ----------
    z : float64, n_genes
        Residuals over their standard deviations; NaN where missing.

    Returns
    -------
    z, p_value : float64, n_genes
    """
    size = np.abs(z[~np.isnan(z)])
    if len(size) < MIN_GENES:
        return z, np.asarray(2.0 * stats.norm.sf(np.abs(z)), np.float64)
    middle, outer = np.quantile(size, (MIDDLE, OUTER))
    middle = max(float(middle), np.finfo(np.float64).tiny)
    ratios = stats.t.ppf((1.0 + OUTER) / 2.0, TAILS) / stats.t.ppf((1.0 + MIDDLE) / 2.0, TAILS)
    # Ratios fall as the tails get lighter: the lightest whose ratio is not below the sample's.
    reaching = np.flatnonzero(ratios >= outer / middle)
    tails = TAILS[reaching[-1]] if reaching.size else TAILS[0]
    scaled = z * (stats.t.ppf((1.0 + MIDDLE) / 2.0, tails) / middle)
    return scaled, np.asarray(2.0 * stats.t.sf(np.abs(scaled), tails), np.float64)


def false_discovery_rate(p_values: Float64) -> Float64:
    """Adjusted p-values of one sample's genes, valid under any dependence; NaN stays NaN.

    Benjamini & Yekutieli (2001).
    """
    found, seen = np.full(p_values.shape, np.nan), ~np.isnan(p_values)
    if seen.any():
        found[seen] = stats.false_discovery_control(p_values[seen], method="by")
    return found
