"""The effects of batches and covariates on the genes, estimated before a training.

A batch's mean profile says little: it holds what the batch's samples are, too. So the shift of a
batch is estimated given a coarse map, a clustering of all samples at the common level:

    (x - centre) / scale + centre = mean of the sample's cluster + shifts + noise.

Only batches that share a cluster say anything of each other's shifts. Clusters need profiles
without shifts, and shifts need clusters, so both are found in turn, from one cluster of everything.
Shifts are shrunk by empirical Bayes, as ComBat's are (Johnson, Li & Rabinovic 2007): those of a
batch are normal over the genes, in units of each gene's noise, with a variance that all genes tell
together; likewise the logarithms of its scales.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from fembed.data.chunks import row_chunks
from fembed.engine import Float32
from fembed.solvers.batch_effects import BatchColumn, BatchEffects, Covariate
from fembed.train import batch_profiles
from fembed.train.batch_regression import GeneSums, Regression, averaged

#: Rounds of clusters and effects, after a first one without clusters: one if batches then share
#: their clusters, else more, up to so many. Of planted shifts between batches with two, three and
#: four of five kinds and all five, one round left errors of 1.0, 0.53 and 0.10 of the shift, and
#: eight left 0.13, 0.10 and 0.10. Where clusters are shared, one is enough.
ROUNDS = 8
#: A batch shares its clusters if at most this share of its samples is in those of no other batch.
UNSHARED = 0.1
#: Clusters: about the square root of the samples over this, and within these limits. Finer ones
#: hold samples of one batch only, coarser ones mix kinds.
ROOT_PER_CLUSTER = 2.5
CLUSTER_LIMITS = (3, 30)
#: Clusterings with other seeds, whose statistics are averaged: one alone is partly chance.
CLUSTERINGS = 4


@dataclass(frozen=True)
class Design:
    """Which batches and covariates the samples have, before their effects are known."""

    columns: tuple[BatchColumn, ...]
    covariates: tuple[Covariate, ...]

    def nothing(self, centre: Float32) -> BatchEffects:
        """Effects that change nothing."""
        n_batches = sum(len(column.levels) for column in self.columns)
        n_effects = n_batches + len(self.covariates)
        return BatchEffects(
            self.columns,
            self.covariates,
            np.zeros((n_effects, len(centre)), np.float32),
            np.ones((n_batches, len(centre)), np.float32),
            centre,
            (0.0,) * (len(self.columns) + len(self.covariates)),
            (0.0,) * n_effects,
        )


def take_away(
    values: Float32, design: Design, seed: int
) -> tuple[BatchEffects, list[NDArray[np.bool_]]]:
    """Estimate the effects of batches and covariates, and remove them from ``values``, in place.

    Parameters as of `estimate`.

    Returns
    -------
    effects : BatchEffects
    apart : for each column, a bool per batch
        Whether its samples still have none of another batch beside them.
    """
    effects = estimate(values, design, seed)
    alone = batch_profiles.apart(values, effects)
    effects.of_training().remove(values)
    return effects, alone


def estimate(values: Float32, design: Design, seed: int) -> BatchEffects:
    """The effects of a training's batches and covariates.

    Parameters
    ----------
    values : float32, n_samples x n_genes
        On the model's scale, NaN where missing: there, each round takes what the one before
        expects. They are not changed.
    design : Design
    seed : int
        Of the clusterings.
    """
    with threadpool_limits(1):  # or the bits would depend on how many there are
        effects = _estimated(values, design, np.zeros(0, np.intp), seed)
        left = batch_profiles.of_other_kinds(values, effects)
        if left.size:
            effects = _estimated(values, design, left, seed)
    return batch_profiles.described(values, effects)


def _estimated(values: Float32, design: Design, left: NDArray[np.intp], seed: int) -> BatchEffects:
    """The effects, those numbered in ``left`` being none."""
    sums = GeneSums.of(values)
    effects = design.nothing(sums.mean.astype(np.float32))
    effects = replace(effects, columns=_naming(design.columns, left))
    n_samples = len(values)
    one = [np.zeros(n_samples, np.intp)]
    prediction = np.zeros((1, values.shape[1]), np.float32) + effects.centre
    clusterings, predictions = one, [prediction]
    for number in range(ROUNDS + 1):
        found = [
            Regression.of(values, effects, clusters, expected)
            for clusters, expected in zip(clusterings, predictions, strict=True)
        ]
        effects = averaged(effects, found, left, sums)
        if number == ROUNDS:
            break
        clusterings = _clusterings(values, effects, seed)
        if number > 0 and _shared(effects.columns, clusterings):
            break
        predictions = [_means(values, effects, clusters) for clusters in clusterings]
    return effects


def _naming(columns: tuple[BatchColumn, ...], left: NDArray[np.intp]) -> tuple[BatchColumn, ...]:
    named, first = [], 0
    for column in columns:
        mine = [level for k, level in enumerate(column.levels) if first + k in left]
        named.append(replace(column, left=tuple(mine)))
        first += len(column.levels)
    return tuple(named)


def _clusterings(values: Float32, effects: BatchEffects, seed: int) -> list[NDArray[np.intp]]:
    from sklearn.cluster import KMeans

    n_samples = len(values)
    n_clusters = int(np.clip(round(np.sqrt(n_samples) / ROOT_PER_CLUSTER), *CLUSTER_LIMITS))
    n_clusters = min(n_clusters, n_samples)
    right = batch_profiles.components(values, effects, np.arange(n_samples), batch_profiles.SCORES)
    scores = batch_profiles.scores_of(values, effects, right)
    return [
        KMeans(n_clusters, n_init=3, random_state=(seed + k) % 2**32).fit_predict(scores)
        for k in range(CLUSTERINGS)
    ]


def _shared(columns: tuple[BatchColumn, ...], clusterings: list[NDArray[np.intp]]) -> bool:
    """Whether nearly all samples of every batch are in clusters with samples of another."""
    for column in columns:
        alone = np.zeros(len(column.levels))
        for clusters in clusterings:
            count = np.zeros((len(column.levels), clusters.max() + 1))
            np.add.at(count, (column.codes, clusters), 1.0)
            alone += np.where(count == count.sum(axis=0), count, 0.0).sum(axis=1)
        size = np.bincount(column.codes, minlength=len(column.levels)) * len(clusterings)
        if (alone > UNSHARED * size).any():
            return False
    return True


def _means(values: Float32, effects: BatchEffects, clusters: NDArray[np.intp]) -> Float32:
    """The mean profile of each cluster at the common level, over the observed entries."""
    n_clusters = int(clusters.max()) + 1
    total = np.zeros((n_clusters, values.shape[1]))
    count = np.zeros((n_clusters, values.shape[1]))
    of_samples = effects.of_training()
    for rows in row_chunks(*values.shape):
        block = values[rows].copy()
        of_samples.take_samples(rows).remove(block)
        member = np.eye(n_clusters, dtype=np.float32)[:, clusters[rows]]
        total += member @ np.nan_to_num(block)
        count += member @ (~np.isnan(block)).astype(np.float32)
    means = np.where(count > 0, total / np.maximum(count, 1.0), effects.centre)
    return means.astype(np.float32)
