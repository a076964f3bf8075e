"""Deviance, slope and Fisher weight of counts one by one, as the engine has them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fembed import _core
from fembed.engine import Float32

if TYPE_CHECKING:  # scipy is slow to import, and no other saved model needs it
    from scipy.interpolate import RegularGridInterpolator

#: Logarithms of means, and dispersions, between which expected deviances are interpolated.
LOG_MEANS = np.concatenate([np.arange(-12.0, 6.0, 0.5), np.arange(6.0, 16.0)])
DISPERSIONS = np.concatenate([[0.0], np.geomspace(1e-3, 1e2, 16)])
#: Means up to this one have all counts summed up, others so many quantiles.
MAX_SUMMED, QUANTILES = 50.0, 500


@dataclass(frozen=True)
class CountTerms:
    """What the likelihood makes of counts; zero where a count is missing.

    Attributes
    ----------
    deviance : float32, n
        The unit deviance, zero where the mean is the count.
    slope : float32, n
        Half of its derivative in the logarithm of the mean.
    weight : float32, n
        Fisher's: the expected second derivative, again of half the deviance.
    """

    deviance: Float32
    slope: Float32
    weight: Float32


def count_terms(
    counts: Float32, log_mean: Float32, dispersion: Float32, *, isa: str = ""
) -> CountTerms:
    """The terms of counts one by one, as `fembed.engine.train` and `solve` use them.

    Parameters
    ----------
    counts : float32, n
        Not negative; NaN where missing.
    log_mean : float32, n
        With the offset.
    dispersion : float32, n
        Not negative.
    isa : str
        A kernel of `fembed.engine.ISAS`; the best one by default.

    Raises
    ------
    TypeError, ValueError
        If an array has another type or another length.

    Examples
    --------
    Half the deviance of no count is its mean (Poisson's):

    >>> import numpy as np
    >>> zero, two = np.float32([[0], [2]])
    >>> count_terms(zero, np.log(two), dispersion=zero).deviance.round(4)
    array([4.], dtype=float32)
    """
    half, slope, weight = (np.empty(len(counts), np.float32) for _ in range(3))
    _core.count_terms(counts, log_mean, dispersion, half, slope, weight, isa)
    return CountTerms(2 * half, slope, weight)


def expected_deviance(log_mean: Float32, dispersion: Float32) -> NDArray[np.float64]:
    """The mean unit deviance of counts that have such a mean and dispersion.

    It is near one for frequent genes and goes to zero with the mean, so it is what deviances of
    samples of different depth are to be compared with. Within one part in a hundred.

    Parameters
    ----------
    log_mean, dispersion : float32, of one shape

    Examples
    --------
    >>> import numpy as np
    >>> means, poisson = np.log(np.float32([0.001, 1000.0])), np.zeros(2, np.float32)
    >>> expected_deviance(means, poisson).round(3)
    array([0.014, 1.   ])
    """
    places = np.stack(
        [
            np.clip(log_mean, LOG_MEANS[0], LOG_MEANS[-1]),
            np.log1p(np.clip(dispersion, 0.0, DISPERSIONS[-1]) / DISPERSIONS[1]),
        ],
        axis=-1,
    )
    found = np.exp(_logarithms()(places))
    # Below the table half the deviance of no count, the mean, is what is left.
    below = np.minimum(np.exp(np.minimum(log_mean - LOG_MEANS[0], 0.0), dtype=np.float64), 1.0)
    return np.asarray(found * below, np.float64)


@cache
def _logarithms() -> RegularGridInterpolator:
    """Logarithms of expected deviances on the grid."""
    from scipy.interpolate import RegularGridInterpolator

    table = np.empty((len(LOG_MEANS), len(DISPERSIONS)))
    for i, log_mean in enumerate(LOG_MEANS):
        for j, dispersion in enumerate(DISPERSIONS):
            counts, weight = _outcomes(float(np.exp(log_mean)), float(dispersion))
            like = np.ones(len(counts), np.float32)
            terms = count_terms(
                counts.astype(np.float32),
                like * np.float32(log_mean),
                like * np.float32(dispersion),
            )
            table[i, j] = np.log(weight @ terms.deviance)
    axes = (LOG_MEANS, np.log1p(DISPERSIONS / DISPERSIONS[1]))
    return RegularGridInterpolator(axes, table, method="linear")


def _outcomes(mean: float, dispersion: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Counts and their weights, which stand for the distribution."""
    from scipy import stats

    law = (
        stats.poisson(mean)
        if dispersion == 0.0
        else stats.nbinom(1.0 / dispersion, 1.0 / (1.0 + dispersion * mean))
    )
    if mean <= MAX_SUMMED:
        counts = np.arange(float(law.isf(1e-9)) + 2.0)
        return counts, law.pmf(counts)
    counts = law.ppf((np.arange(QUANTILES) + 0.5) / QUANTILES)
    return counts, np.full(QUANTILES, 1.0 / QUANTILES)
