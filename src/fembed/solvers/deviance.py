"""Deviance, slope and Fisher weight of counts one by one, as the engine has them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fembed import _core
from fembed.engine import Float32


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
