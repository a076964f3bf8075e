"""What a model of counts says of samples: expected counts, their deviations, and residuals.

`fembed.impute` and `fembed.aberrant_genes` come here for such a model.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from threadpoolctl import threadpool_limits

from fembed.engine import Float32, Solution
from fembed.errors import InputError
from fembed.inference.matching import Matched, check_placed
from fembed.model import Model
from fembed.solvers import uncertainty
from fembed.solvers.count_criterion import CountCriterion
from fembed.solvers.jacobian import Jacobian
from fembed.threads import thread_count

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class PlacedCounts:
    """Samples of counts in their places.

    Attributes
    ----------
    places : float32, k x n_components
    size : float64, k
    log_mean : float32, k x n_genes
        Of all the model's genes: logarithms of the expected counts, at the samples' own sizes.
    solution : Solution
    """

    places: Float32
    size: Float64
    log_mean: Float32
    solution: Solution


def placed(model: Model, found: Matched, n_threads: int | None) -> PlacedCounts:
    """The samples' most probable places, their sizes, and what is expected of all genes there."""
    criterion = model.criterion()
    assert isinstance(criterion, CountCriterion)
    some = criterion.take_genes(found.genes)
    solution = some.place(found.parameters, found.profiles, n_threads=n_threads)
    size = some.sizes(found.parameters, found.profiles, solution.u, n_threads)
    log_mean = criterion.log_means(model.parameters, size, solution.u, n_threads)
    check_placed(found.sample_names, solution.u, log_mean)
    return PlacedCounts(solution.u, size, log_mean, solution)


def refuse_measured(model: Model) -> None:
    """Raise InputError for a model of counts, where measured values go on the model's scale."""
    if model.count_model is not None:
        raise InputError(
            "The scale of a model of counts is the logarithm of a rate, on which single counts "
            "have no place; leave the data out, or compare counts with fembed.impute."
        )


def explained_deviance(
    model: Model, profiles: Float32, places: Float32, n_threads: int | None = None
) -> float:
    """The share of the deviance that places explain; 0 if samples differ in their size alone.

    Parameters
    ----------
    profiles : float32, k x n_genes
        Counts of the model's genes.
    places : float32, k x n_components
    """
    criterion = model.criterion()
    assert isinstance(criterion, CountCriterion)
    left, total = criterion.explained(model.parameters, profiles, places, n_threads)
    return 1.0 - left / total if total > 0.0 else float(left == 0.0)


def deviations(model: Model, found: PlacedCounts, n_threads: int | None) -> Float32:
    """Standard deviations (k x n_genes) of new counts of all genes, in samples of the same sizes.

    The variance of a count is ``mean + dispersion * mean^2``, and ``mean^2 J C J'`` because of what
    is not known of the place, with J the derivatives of the logarithm of the rate and C the place's
    covariance. The latter is linear in the place.
    """
    assert model.count_model is not None
    dispersion = model.count_model.dispersion.astype(np.float64)
    covariance = uncertainty.inverse(found.solution.curvature)
    jacobian, everything = Jacobian(model.parameters), np.arange(model.n_genes)

    def one(row: int) -> Float32:
        slopes = jacobian.at(found.places[row], everything)[1].astype(np.float64)
        of_place = np.einsum("ja,ab,jb->j", slopes, covariance[row], slopes)
        mean = np.exp(found.log_mean[row].astype(np.float64))
        return np.asarray(np.sqrt(mean + (dispersion + of_place) * mean**2), np.float32)

    with (
        threadpool_limits(1, user_api="blas"),
        ThreadPoolExecutor(min(thread_count(n_threads), 32)) as pool,
    ):
        return np.stack(list(pool.map(one, range(len(found.places)))))


def quantile_residuals(
    counts: Float32, mean: Float64, dispersion: Float64, name: str
) -> tuple[Float64, Float64]:
    """How unusual each count of a sample is, given its distribution.

    The randomised quantile residual of Dunn & Smyth (1996) is standard normal whatever the mean:
    the distribution function at the count, at a random point of its step, as a normal quantile. The
    random numbers depend on the sample's name alone. The p-value has no chance in it: it is twice
    the smaller one of the chances of at most, and of at least, so many counts.

    Parameters
    ----------
    counts : float32, n_genes
        NaN where missing.
    mean, dispersion : float64, n_genes
    name : str
        Of the sample.

    Returns
    -------
    z, p_value : float64, n_genes
    """
    below, at_most, at_least = _chances(counts, mean, dispersion)
    seed = hashlib.sha256(name.encode()).digest()[:8]
    share = np.random.default_rng(int.from_bytes(seed, "little")).random(len(counts))
    low, high = np.minimum(at_most, 1.0), np.minimum(at_least, 1.0)
    point = below + share * (low - below)
    # In the upper half the other tail, which has more digits there.
    z = np.where(
        point < 0.5,
        stats.norm.ppf(np.maximum(point, np.finfo(np.float64).tiny)),
        stats.norm.isf(np.maximum(high - share * (low - below), np.finfo(np.float64).tiny)),
    )
    return z, np.minimum(1.0, 2.0 * np.minimum(low, high))


def _chances(counts: Float32, mean: Float64, dispersion: Float64) -> tuple[Any, Any, Any]:
    """Chances of less than, at most, and at least the counts."""
    y = counts.astype(np.float64)
    poisson = dispersion <= 0.0
    shape = 1.0 / np.where(poisson, 1.0, dispersion)
    chance = 1.0 / (1.0 + mean / shape)
    laws = stats.poisson(mean), stats.nbinom(shape, chance)
    of_law = [(law.cdf(y - 1.0), law.cdf(y), law.sf(y - 1.0)) for law in laws]
    return tuple(np.where(poisson, *pair) for pair in zip(*of_law, strict=True))
