"""Novelty: whether a sample fits worse than those beside it do, and how often that is chance.

A sample of a kind that the model has never seen is placed somewhere, too. What map and residual
factors leave of its expression is then large. How large it is for known samples depends on where
they lie, so it is compared with the training samples nearest in the map; and how much larger it is
for new samples of a known kind, with samples that took no part in the training.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from fembed import engine
from fembed.data.chunks import even_choice, row_chunks
from fembed.engine import Float32
from fembed.parameters import Parameters
from fembed.solvers import residual_factors
from fembed.solvers.count_criterion import CountCriterion
from fembed.solvers.criterion import SUM_OF_SQUARES, Criterion
from fembed.solvers.residual_factors import ResidualFactors, alike

Float64 = NDArray[np.float64]

#: Training samples that a new one is compared with.
NEIGHBOURS = 5
#: Of so many training samples, evenly chosen, it is known what is left of them.
MAX_COMPARED = residual_factors.MAX_SAMPLES
#: Where so many samples each miss other genes, each costs an inverse: of so many it is known then.
MAX_PATTERNS = 256
#: Iterations of a held-out sample's place.
ITERATIONS = 10
#: Of the reference's scores, those above this quantile say how fast the tail falls.
TAIL = 0.8


def unexplained(
    parameters: Parameters,
    factors: ResidualFactors | None,
    profiles: Float32,
    places: Float32,
    n_threads: int | None = None,
    criterion: Criterion = SUM_OF_SQUARES,
) -> Float64:
    """Mean square (k) of what map and factors leave of each profile's observed genes.

    Of counts it is the deviance over its expectation, which a sample's depth does not change.

    Parameters
    ----------
    parameters, factors
        Of the genes of ``profiles`` (k x n_genes, NaN where missing), on their scale.
    places : float32, k x n_components
    criterion : Criterion
        Of these genes; that of counts says that the profiles hold some.
    """
    if isinstance(criterion, CountCriterion):
        return criterion.losses(parameters, profiles, places, n_threads)
    found = np.empty(len(profiles))
    for rows in row_chunks(*profiles.shape):
        points = np.ascontiguousarray(places[rows])
        left = profiles[rows] - engine.decode(parameters, points, n_threads=n_threads)
        if factors is not None:
            left -= factors.predict(left)
        n_observed = (~np.isnan(left)).sum(axis=1)
        squares = np.nansum(np.square(left, dtype=np.float64), axis=1)
        found[rows] = squares / np.maximum(n_observed, 1)
    return found


def of_training(
    parameters: Parameters,
    factors: ResidualFactors | None,
    values: Float32,
    n_threads: int | None = None,
    criterion: Criterion = SUM_OF_SQUARES,
) -> Float64:
    """What is left of evenly many training samples (n_samples); NaN for the others."""
    found = np.full(len(values), np.nan)
    rows = even_choice(len(values), MAX_COMPARED)
    profiles = values[rows]
    if sum(1 for _ in alike(profiles)) > MAX_PATTERNS:
        some = even_choice(len(rows), MAX_PATTERNS)
        rows, profiles = rows[some], profiles[some]
    places = parameters.sample_embedding[rows]
    found[rows] = unexplained(parameters, factors, profiles, places, n_threads, criterion)
    return found


def score(left: Float64, places: Float32, training: Float64, training_places: Float32) -> Float64:
    """What is left of samples (k), over the median of the training samples nearest in the map.

    Parameters
    ----------
    left : float64, k
        See `unexplained`.
    places : float32, k x n_components
    training : float64, n_samples
        As `of_training` gives it.
    training_places : float32, n_samples x n_components
    """
    known = np.flatnonzero(np.isfinite(training))
    tree = cKDTree(training_places[known].astype(np.float64))
    neighbours = min(NEIGHBOURS, len(known))
    nearest = tree.query(places.astype(np.float64), k=neighbours)[1].reshape(len(places), -1)
    beside = np.median(training[known[nearest]], axis=1)
    return np.asarray(left / np.maximum(beside, np.finfo(np.float64).tiny), np.float64)


def reference(
    criterion: Criterion,
    trained: Parameters,
    factors: ResidualFactors | None,
    known: Float32,
    profiles: Float32,
    n_threads: int | None = None,
) -> list[float]:
    """Sorted scores of samples that have not been trained on yet.

    Parameters
    ----------
    criterion : Criterion
        What samples are placed by.
    trained, factors
        The model of the samples trained on, and what it leaves of them.
    known : float32, n_samples x n_genes
        The values of the samples of ``trained``.
    profiles : float32, k x n_genes
        The samples that have not been trained on.
    """
    found = criterion.place(
        trained, profiles, n_starts=1, max_iterations=ITERATIONS, n_threads=n_threads
    )
    scores = score(
        unexplained(trained, factors, profiles, found.u, n_threads, criterion),
        found.u,
        of_training(trained, factors, known, n_threads, criterion),
        trained.sample_embedding,
    )
    return [float(value) for value in np.sort(scores)]


def p_value(score: Float64, reference: Float64) -> Float64:
    """The chance that a sample of the reference's kind has such a score or a higher one.

    Within the range of the reference it is the share of samples above: conformal (Vovk et al.
    2005), so for a new sample of the same kind the chance of a value of at most a is at most a,
    whatever the distribution. Beyond it, the logarithm's tail falls as fast as that of the
    reference's upper fifth does on average (exponentially: Pickands 1975). ``reference`` holds
    scores of samples that the model was not trained on.
    """
    ordered = np.sort(reference)
    above = len(ordered) - np.searchsorted(ordered, score, side="left")
    share = np.asarray((1.0 + above) / (1.0 + len(ordered)), np.float64)
    tiny = np.finfo(np.float64).tiny
    logs = np.log(np.maximum(ordered, tiny))
    start = np.quantile(logs, TAIL)
    fall = float(np.mean(logs[logs >= start] - start))
    if fall > 0.0:
        beyond = np.maximum(np.log(np.maximum(score, tiny)) - logs[-1], 0.0)
        share *= np.exp(-beyond / fall)
    return share
