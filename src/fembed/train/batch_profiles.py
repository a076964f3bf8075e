"""Profiles of a training at the common level: their components, their scores, and what is apart.

They show whether batches can be told from the kinds of their samples.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from fembed.data.chunks import even_choice, row_chunks
from fembed.engine import Float32
from fembed.solvers.batch_effects import BatchEffects
from fembed.train.batch_regression import GeneSums
from fembed.train.initialization import principal_components

#: Clusters are found among scores on so many principal components,
SCORES = 30
#: which are found on so many samples.
MAX_PCA_SAMPLES = 1200
#: A batch of fewer samples has too little structure of its own to judge.
MIN_JUDGED = 20
#: If the others' components explain a smaller share of the structure within a batch than this,
#: its samples are of other kinds: what looks like a shift may be what they are.
MIN_SHARED_STRUCTURE = 0.5
#: The share in `part_of`: of batches with two or more of the other's kinds it was 0.73 to 1, of
#: those with one kind 0.12 to 0.48 (made clusters, TCGA cohorts).
MIN_SHARE_OF_PART = 0.6
#: So many nearest samples are looked at, of at most so many samples, for those of other batches.
NEIGHBOURS = 15
MAX_COMPARED = 5000
#: Structure is judged on so many components.
JUDGED_SCORES = 10


def _common(values: Float32, effects: BatchEffects, rows: slice | NDArray[np.intp]) -> Float32:
    """Some of the profiles at the common level; missing values are their genes' centres."""
    block = np.ascontiguousarray(values[rows])
    if isinstance(rows, slice):
        block = block.copy()
    effects.of_training().take_samples(rows).remove(block)
    centre = np.broadcast_to(effects.centre, block.shape)
    missing = np.isnan(block)
    block[missing] = centre[missing]
    block -= effects.centre
    return block


def components(values: Float32, effects: BatchEffects, rows: NDArray[np.intp], n: int) -> Float32:
    """The leading directions (n x n_genes) of some samples at the common level."""
    chosen = rows[even_choice(len(rows), MAX_PCA_SAMPLES)]
    block = _common(values, effects, chosen)
    block -= block.mean(axis=0)
    return principal_components(block, min(n, len(chosen) - 1, values.shape[1]))[1]


def scores_of(values: Float32, effects: BatchEffects, right: Float32) -> Float32:
    """The scores (n_samples x n) of all samples at the common level along directions."""
    scores = np.empty((len(values), len(right)), np.float32)
    for rows in row_chunks(*values.shape):
        scores[rows] = _common(values, effects, rows) @ right.T
    return scores


def of_other_kinds(values: Float32, effects: BatchEffects) -> NDArray[np.intp]:
    """Batches whose inner structure is not the others'; see `MIN_SHARED_STRUCTURE`."""
    found: list[int] = []
    first = 0
    for column in effects.columns:
        n_batches = len(column.levels)
        rows = [np.flatnonzero(column.codes == number) for number in range(n_batches)]
        other = []
        for number, mine in enumerate(rows):
            others = np.flatnonzero(column.codes != number)
            if min(len(mine), len(others)) >= MIN_JUDGED and (
                shared_structure(values, effects, mine, others) < MIN_SHARED_STRUCTURE
                and not any(
                    part_of(values, effects, some, mine) for some in rows if some is not mine
                )
            ):
                other.append(first + number)
        if len(other) >= n_batches - 1:  # a shift is one between two batches
            other = list(range(first, first + n_batches))
        found += other
        first += n_batches
    return np.array(found, np.intp)


def shared_structure(
    values: Float32, effects: BatchEffects, mine: NDArray[np.intp], others: NDArray[np.intp]
) -> float:
    """How much of a batch's structure the others have, as a share of what half of it has itself.

    The variance of one half of the batch's samples along the leading components of the others, over
    that along the components of its other half.
    """
    n = min(JUDGED_SCORES, len(mine) // 3)
    mine = np.random.default_rng(0).permutation(mine)  # two samples of a patient may alternate
    theirs = components(values, effects, others, n)
    explained = np.zeros(2)
    for one, two in ((mine[::2], mine[1::2]), (mine[1::2], mine[::2])):
        own = components(values, effects, one, n)
        block = _common(values, effects, two[even_choice(len(two), MAX_PCA_SAMPLES)])
        block -= block.mean(axis=0)
        explained += [float(np.square(block @ right.T).sum()) for right in (theirs, own)]
    return float(explained[0] / max(explained[1], 1e-30))


def part_of(
    values: Float32, effects: BatchEffects, some: NDArray[np.intp], mine: NDArray[np.intp]
) -> bool:
    """Whether the kinds of ``some`` samples are several of those of ``mine``.

    The leading components of ``mine`` then explain about the share of the variance within ``some``
    that they explain of their own. Of a single kind they explain little.
    """
    if len(some) < MIN_JUDGED:
        return False
    right = components(values, effects, mine, min(JUDGED_SCORES, len(some) // 3))
    shares = []
    for rows in (some, mine):
        block = _common(values, effects, rows[even_choice(len(rows), MAX_PCA_SAMPLES)])
        block -= block.mean(axis=0)
        shares.append(float(np.square(block @ right.T).sum()) / float(np.square(block).sum()))
    return shares[0] >= MIN_SHARE_OF_PART * shares[1]


def apart(values: Float32, effects: BatchEffects) -> list[NDArray[np.bool_]]:
    """For each column and batch, whether none of its samples, effects removed, has others' near."""
    from sklearn.neighbors import NearestNeighbors

    rows = even_choice(len(values), MAX_COMPARED)
    with threadpool_limits(1):
        right = components(values, effects, np.arange(len(values)), SCORES)
        scores = scores_of(values, effects, right)[rows]
        nearest = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(rows) - 1)).fit(scores)
        near = nearest.kneighbors(return_distance=False)
    found = []
    for column in effects.columns:
        codes = column.codes[rows]
        foreign = codes[near] != codes[:, None]
        alone = []
        for number in range(len(column.levels)):
            mine = foreign[codes == number]
            few = max(1, (len(mine) - 1) // 2)  # a small batch runs out of its own
            alone.append(not mine[:, :few].any())
        found.append(np.array(alone))
    return found


def described(values: Float32, effects: BatchEffects) -> BatchEffects:
    """The same with the shares of the variance that columns and covariates explain."""
    whole = GeneSums.of(values).variance
    weights = effects.of_training().weights
    rest = _variance_with(values, effects, np.zeros_like(weights))
    explained, first = [], 0
    n_each = [len(column.levels) for column in effects.columns] + [1] * len(effects.covariates)
    for n_effects in n_each:
        kept = np.zeros_like(weights)
        kept[:, first : first + n_effects] = weights[:, first : first + n_effects]
        explained.append((_variance_with(values, effects, kept) - rest) / float(whole.sum()))
        first += n_effects
    sizes = np.sqrt((np.square(effects.shift, dtype=np.float64) / whole).mean(axis=1))
    return replace(effects, explained=tuple(explained), sizes=tuple(map(float, sizes)))


def _variance_with(values: Float32, effects: BatchEffects, kept: Float32) -> float:
    """The variance over all genes where only effects of the weights ``kept`` remain."""
    of_samples = effects.of_training()
    remaining = replace(of_samples, weights=kept)
    total, squares = np.zeros(values.shape[1]), np.zeros(values.shape[1])
    count = np.zeros(values.shape[1], np.int64)
    for rows in row_chunks(*values.shape):
        block = values[rows].copy()
        of_samples.take_samples(rows).remove(block)
        remaining.take_samples(rows).add(block)
        block -= effects.centre
        count += (~np.isnan(block)).sum(axis=0)
        total += np.nansum(block, axis=0, dtype=np.float64)
        squares += np.nansum(np.square(block, dtype=np.float64), axis=0)
    n = np.maximum(count, 1)
    return float((squares / n - np.square(total / n)).sum())
