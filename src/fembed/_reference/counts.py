"""The likelihood of counts: negative binomial, and Poisson where the dispersion is zero."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import xlogy

from fembed._reference.network import Float
from fembed.likelihood import LOG_MEAN_LIMITS


@dataclass(frozen=True)
class CountTerms:
    """What the likelihood makes of counts; zero where a count is missing.

    Attributes
    ----------
    deviance : array
        The unit deviance: twice the logarithm of the likelihood that the count itself would have
        as its mean, over that of the mean. Zero where the mean is the count, else positive.
    slope : array
        Half of the deviance's derivative in eta, the logarithm of the mean.
    weight : array
        Fisher's: the expectation of the derivative of ``slope`` in eta.
    """

    deviance: Float
    slope: Float
    weight: Float


def count_terms(counts: Float, log_mean: Float, dispersion: Float) -> CountTerms:
    """Deviance, slope and weight of counts y with mean mu = exp(eta) and variance mu + a mu^2.

    The textbook's deviance (McCullagh & Nelder 1989)

        2 (y log(y / mu) - (y + 1 / a) log((1 + a y) / (1 + a mu)))

    divides by a. With x = a (mu - y) / (1 + a y) the second logarithm is -log(1 + x), and
    (y + 1 / a) = (mu - y) / x: hence ``y log(y / mu) + (mu - y) log(1 + x) / x``, whose last factor
    goes to 1 with a, which is Poisson's deviance.

    Beyond `LOG_MEAN_LIMITS` the deviance goes on as its tangent if that rises, so that the slope
    is that at the limit.

    Parameters
    ----------
    counts, log_mean, dispersion : arrays that broadcast
        Dispersions are not negative; a missing count is NaN.
    """
    eta = np.clip(log_mean, *LOG_MEAN_LIMITS)
    mean, missing = np.exp(eta), np.isnan(counts)
    y = np.where(missing, mean, counts)
    x = dispersion * (mean - y) / (1 + dispersion * y)
    log = np.log1p(dispersion * mean) - np.log1p(
        dispersion * y
    )  # of 1 + x, also where x is near -1
    ratio = np.where(x == 0, 1.0, log / np.where(x == 0, 1.0, x))
    deviance = 2 * (xlogy(y, y / mean) + (mean - y) * ratio)
    slope = (mean - y) / (1 + dispersion * mean)
    deviance = deviance + 2 * np.maximum(slope * (log_mean - eta), 0.0)
    weight = mean / (1 + dispersion * mean)
    return CountTerms(deviance, slope, np.where(missing, 0.0, weight))
